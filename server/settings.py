"""What an operator may set: one frozen class, read from flags and the environment.

Every `CHORUS_*` and `OPENAI_*` variable is declared here, with its default and its bounds, and read
nowhere else. A flag wins over its variable; an empty variable is an unset one. What the settings
lead to (a model, a store, a socket) is built in the composition root.

    settings = load_settings({"port": "9000", "data": None})
"""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from machines.models.chorus import LoopMode
from machines.models.lease import LEASE_SECONDS
from machines.models.limits import MAX_MODEL_NAME_LENGTH, MAX_MODELS
from server.addresses import Origin, PublicAddress, parts_of

ENV_PREFIX: Final = "CHORUS_"
MASK: Final = "********"

_CLIENT_VARIABLES: Final = frozenset({"CHORUS_KEY_FILE"})
"""Read by the terminal client, which knows PROTOCOL and nothing else of the server."""

_OF_A_QDRANT_SERVER: Final = frozenset(
    {"qdrant_api_key", "qdrant_connections", "qdrant_shards", "qdrant_replicas"}
)
"""They mean something beside `qdrant_url` alone."""

_MAX_PROBLEMS: Final = 3


class InvalidSettings(ValueError):
    """Flags or variables that cannot be used; `str` is one line for each of the first three."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        shown, more = problems[:_MAX_PROBLEMS], len(problems) - _MAX_PROBLEMS
        if more > 0:
            shown = (*shown[:-1], f"{shown[-1]} (and {more} more)")
        super().__init__("\n".join(shown))
        self.problems = problems
        """One sentence each, naming the flag or variable; never the value of a secret."""


# --- Kinds of values -----------------------------------------------------------------------------


def _address(url: str) -> str:
    if parts_of(url) is None:
        raise ValueError("must be an address such as http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def _origin(url: str) -> str:
    """Scheme, host and port, as a browser writes them in `Origin`."""
    return str(Origin.parse(url))


def _public_url(url: str) -> str:
    return str(PublicAddress.parse(url))


def _llm(choice: str) -> str:
    if choice in {"auto", "offline"}:
        return choice
    if parts_of(choice) is None:
        raise ValueError(
            "must be auto, offline, or the address of an endpoint such as http://127.0.0.1:8000/v1"
        )
    return choice.rstrip("/")


def _expanded(path: Path) -> Path:
    scheme, *rest = path.parts or ("",)
    if rest and len(scheme) > len("C:") and scheme.endswith(":"):
        # An address may hold a password, and would be told as the name of a folder.
        raise ValueError(f"must be a folder; a database is named by {variable('database_url')}")
    try:
        str(path).encode()
        return path.expanduser()
    except UnicodeEncodeError:
        raise ValueError("must be text in UTF-8") from None
    except RuntimeError:
        raise ValueError("names a home folder that is not there") from None


def _database(secret: SecretStr) -> SecretStr:
    """The address of a PostgreSQL database; it may hold a password."""
    try:
        parts = urlsplit(secret.get_secret_value().strip())
        known = parts.scheme in {"postgresql", "postgres"} and parts.port != 0
    except ValueError:
        known = False
    if not known or not parts.path.strip("/"):
        raise ValueError("must be an address such as postgresql://user:password@host:5432/database")
    return SecretStr(parts.geturl())


def _redis(secret: SecretStr) -> SecretStr:
    """The address of a Redis server; it may hold a password."""
    try:
        parts = urlsplit(secret.get_secret_value().strip())
        known = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or not (parts.path.strip("/") or "0").isdecimal():
        raise ValueError("must be an address such as redis://user:password@host:6379/0")
    return SecretStr(parts.geturl())


def _qdrant_address(url: str) -> str:
    parts = parts_of(url)
    if parts is None or parts.query or parts.fragment:
        raise ValueError("must be an address such as http://127.0.0.1:6333")
    if parts.username is not None:
        raise ValueError(f"must name no user; the key belongs into {variable('qdrant_api_key')}")
    return url.rstrip("/")


def _sendable(secret: SecretStr) -> SecretStr:
    """A secret that fits into a header; files and shells like to leave a line feed at its end."""
    value = secret.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII, and not blank")
    return SecretStr(value)


def _printable(name: str) -> str:
    """A name that is printed, and shown to users."""
    if not name.isprintable():
        raise ValueError("must be printable text")
    return name


def _items(value: object) -> object:
    """The items of a comma-separated list; blank ones are left out."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Name = Annotated[_Text, AfterValidator(_printable)]
_ModelName = Annotated[_Name, StringConstraints(max_length=MAX_MODEL_NAME_LENGTH)]
_Address = Annotated[_Text, AfterValidator(_address)]
_QdrantAddress = Annotated[_Text, AfterValidator(_qdrant_address)]
_Origin = Annotated[_Text, AfterValidator(_origin)]
_PublicUrl = Annotated[_Text, AfterValidator(_public_url)]
_Database = Annotated[SecretStr, AfterValidator(_database)]
_Redis = Annotated[SecretStr, AfterValidator(_redis)]
_Secret = Annotated[SecretStr, AfterValidator(_sendable)]
_Count = Annotated[int, Field(ge=0, le=1_000_000)]
"""0 is no limit."""


# --- The settings --------------------------------------------------------------------------------


class Settings(BaseSettings):
    """Everything that an operator may set; make it by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a secret in the wrong variable
    )

    host: _Text = "127.0.0.1"
    """The interface that the server listens on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 takes any free port."""
    data: Annotated[Path, AfterValidator(_expanded)] = Path("chorus-data")
    """The folder of the journal and the embedded memory; made where it is missing."""
    database_url: _Database | None = None
    """A PostgreSQL database that holds the journal; None keeps it in `data`."""
    lease_seconds: Annotated[float, Field(ge=0.5, le=3_600)] = LEASE_SECONDS
    """Without a sign of life, after which other servers on the database take up a server's runs."""
    redis_url: _Redis | None = None
    """A Redis by which servers of one database tell each other what may be lost; None uses the
    database."""

    llm: Annotated[_Text, AfterValidator(_llm)] = "auto"
    """`auto`, `offline`, or the base URL of an endpoint."""
    model: _Name | None = None
    """Name of the model at the endpoint; None takes the first that it lists."""
    models: Annotated[
        tuple[_ModelName, ...], NoDecode, BeforeValidator(_items), Field(max_length=MAX_MODELS)
    ] = ()
    """Models of the same endpoint that a thread's co-authors may choose besides."""
    embedding_model: _Name | None = None
    """Name of the endpoint's embedding model; None embeds on this machine."""
    openai_api_key: _Secret | None = Field(default=None, validation_alias="openai_api_key")
    openai_base_url: _Address | None = Field(default=None, validation_alias="openai_base_url")

    qdrant_url: _QdrantAddress | None = None
    """A Qdrant server or cluster; None keeps the memory embedded, in `data`."""
    qdrant_api_key: _Secret | None = None
    qdrant_connections: Annotated[int, Field(ge=1, le=100)] = 8
    """Requests to it that may be under way at once."""
    qdrant_shards: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Of a collection that is made; None leaves it to the Qdrant server."""
    qdrant_replicas: Annotated[int, Field(ge=1, le=100)] | None = None
    """Of each shard of a collection that is made; None leaves it to the Qdrant server."""

    public_url: _PublicUrl | None = None
    """The address that browsers know the server by, with a path where a proxy gives it one; None is
    the loopback names with its port."""
    allowed_origins: Annotated[tuple[_Origin, ...], NoDecode, BeforeValidator(_items)] = ()
    """Other pages whose scripts may connect."""
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_items)
    ] = ()
    """Networks of the proxies whose word on a client's address is taken."""
    metrics_token: _Secret | None = None
    """Opens `/metrics` to others than loopback."""
    compression: bool = False
    """Whether a websocket is compressed where its client asks for it."""

    prompts_per_minute: _Count = 20
    """Of one user."""
    frames_per_second: _Count = 50
    """Of one connection."""
    read_kib_per_second: _Count = 512
    """Of pages of threads, events, lists and results, of one user."""
    outbox_mib: _Count = 256
    """Of frames that wait for their readers, in all connections together."""
    sign_ins_per_minute: _Count = 30
    """Of one address."""
    connections_per_user: _Count = 20
    connections_per_address: _Count = 1_000
    """Sockets, signed in or not."""
    thread_queue: _Count = 16
    """Runs that may wait in one thread."""
    pending_per_user: _Count = 3
    """Messages of one user that wait for approval in one thread."""
    pending_per_thread: _Count = 100
    loop: LoopMode = LoopMode.FULL
    """`short` asks for action and yield alone."""
    max_iterations: Annotated[int, Field(ge=1, le=100)] = 3
    """Loops of one run."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 4
    """Of one step in one iteration."""
    context_tokens: Annotated[int, Field(ge=2_048, le=10_000_000)] | None = None
    """Of a request and its answer together, by estimate; None is what the endpoint tells, and 32,000
    at most."""
    model_idle_seconds: Annotated[float, Field(gt=0, le=86_400)] = 90
    """Silence of the model's endpoint that ends an attempt; a ping is no silence."""
    model_total_seconds: Annotated[float, Field(gt=0, le=86_400)] = 900
    """Of one attempt, from the request to the end of the answer."""
    storage_wait_seconds: Annotated[float, Field(gt=0, le=86_400)] = 20
    """How long `chorus ask` waits for a journal that takes nothing."""
    invitations_per_thread: _Count = 50
    """Invitations that may be open in one thread."""
    invitations_per_user: _Count = 100
    """Open invitations that one user made."""
    invitations_per_key: _Count = 100
    """Open invitations of one key."""
    invitation_days: Annotated[float, Field(gt=0, le=3_650)] = 30
    approval_days: Annotated[float, Field(gt=0, le=3_650)] = 7
    session_hours: Annotated[float, Field(gt=0, le=87_600)] = 24

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables; no file is read behind the operator's back."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    @property
    def journal_place(self) -> str:
        """Where the journal is, without user and password."""
        if self.database_url is None:
            return str(self.data)
        parts = urlsplit(self.database_url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        return f"postgresql://{host}{parts.path}"

    def show(self) -> list[str]:
        """One line for each variable and its value, secrets masked; `#` marks a default."""
        names = {name: variable(name) for name in type(self).model_fields}
        width = max(map(len, names.values()))
        return [
            f"{shown:<{width}}  {_shown(getattr(self, name))}"
            + ("" if name in self.model_fields_set else "  # default")
            for name, shown in names.items()
        ]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return name.upper() if name.startswith("openai_") else f"{ENV_PREFIX}{name.upper()}"


def flag(name: str) -> str:
    """The command-line flag of a setting that has one."""
    return f"--{name.replace('_', '-')}"


def load_settings(flags: Mapping[str, str | None]) -> Settings:
    """The settings from `flags` (by the name of the setting; None is not given) and `os.environ`.

    Raises:
        InvalidSettings: names each flag or variable that is wrong, and what it must be.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    if blank := [flag(name) for name, value in given.items() if not value.strip()]:
        raise InvalidSettings(tuple(f"{each} must not be blank" for each in blank))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        problems = (_problem(each, given) for each in error.errors(include_url=False))
        raise InvalidSettings(tuple(dict.fromkeys(problems))) from None
    if settings.qdrant_url is None and (
        idle := sorted(settings.model_fields_set & _OF_A_QDRANT_SERVER)
    ):
        # An address that was forgotten would keep the memory on this machine, and say nothing.
        address = variable("qdrant_url")
        raise InvalidSettings(
            tuple(f"{variable(name)} is set, and {address} is not" for name in idle)
        )
    if settings.redis_url is not None and settings.database_url is None:
        raise InvalidSettings(
            (
                f"{variable('redis_url')} is set, and {variable('database_url')} is not: a server "
                "that is alone has nobody to tell",
            )
        )
    return settings


def misspelt_variables(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A sentence for each variable that looks like a setting and is none.

    They are no errors: container platforms put variables of their own under a service's name.
    """
    known = {variable(name) for name in Settings.model_fields}
    for name in sorted(environment):
        if name.startswith(ENV_PREFIX) and name not in known | _CLIENT_VARIABLES:
            for meant in get_close_matches(name, known, n=1, cutoff=0.85):
                yield f"{name} is no setting and is ignored; did you mean {meant}?"


# --- Words ---------------------------------------------------------------------------------------

_PROBLEMS: Final[Mapping[str, str]] = {
    "value_error": "{error}",
    "string_too_short": "must not be blank",
    "string_too_long": "must have at most {max_length} characters in each name",
    "too_long": "must have at most {max_length} names",
    "string_unicode": "must be text in UTF-8",
    "enum": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be on or off",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "ip_v4_network": "must be networks such as 10.0.0.0/8 or 127.0.0.1, separated by commas",
    "ip_v6_network": "must be networks such as 10.0.0.0/8 or 127.0.0.1, separated by commas",
}
"""pydantic's error types in plain words; what is in braces comes from our rules, not the input."""


def _problem(error: ErrorDetails, given: Mapping[str, object]) -> str:
    name = str(error["loc"][0])
    words = _PROBLEMS.get(error["type"], "cannot be used")
    return (
        f"{flag(name) if name in given else variable(name)} {words.format(**error.get('ctx', {}))}"
    )


def _shown(value: object) -> str:
    """A value as an operator would write it."""
    match value:
        case None | ():
            return "(unset)"
        case SecretStr():
            return MASK
        case bool():
            return "on" if value else "off"
        case tuple():
            return ", ".join(_shown(item) for item in value)
        case str() if (parts := parts_of(value)) and parts.username is not None:
            return parts._replace(netloc=f"{MASK}@{parts.netloc.rpartition('@')[2]}").geturl()
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)
