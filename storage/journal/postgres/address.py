"""Where a PostgreSQL database is, read from a URL. Nothing here connects."""

from dataclasses import dataclass

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

_SCHEMES = frozenset({"postgresql", "postgres"})


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database of a server; `str` of it shows no user, no password and no option."""

    url: URL

    @classmethod
    def parse(cls, text: str) -> "PostgresAddress":
        """
        Raises:
            ValueError: it is no such URL; the message holds nothing of it.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise _not_an_address() from None
        if url.drivername not in _SCHEMES or not url.database:
            raise _not_an_address()
        return cls(url.set(drivername="postgresql+psycopg"))

    def __str__(self) -> str:
        shown = URL.create(
            "postgresql", host=self.url.host, port=self.url.port, database=self.url.database
        )
        return shown.render_as_string()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


def _not_an_address() -> ValueError:
    return ValueError("must be an address such as postgresql://user:password@host:5432/database")
