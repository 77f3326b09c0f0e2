"""A real PostgreSQL, started for the tests of one process and stopped with it.

    with cluster() as server:
        url = server.database()          # empty
        url = server.database(migrated=True)

It runs as a user of its own where the tests run as root, listens on a free port of 127.0.0.1, and
does not wait for the disk unless asked to. It ends when the tests do, killed or not: its parent's
death is a signal to it. A database is a copy of a template, so that a migrated one costs no migration.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import migrate
from tests.support.journal_values import uuid

INSTALL: Final = "PostgreSQL is not installed, and the tests need it: apt install postgresql"
PASSWORD: Final = "correct horse"
START_SECONDS: Final = 30.0

_SYSTEM_USERS: Final = ("postgres", "nobody")
_CALM: Final = ("fsync=off", "synchronous_commit=on", "full_page_writes=off")


@cache
def programs() -> Path:
    """The folder of `initdb` and `postgres`; fails the test where there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda file: float(file.parts[-3]), default=None)
    if newest is None:
        pytest.fail(INSTALL)
    return newest.parent


class Cluster:
    """A server of databases. Made by `cluster`."""

    def __init__(self, folder: Path, port: int, *, durable: bool) -> None:
        self._folder = folder
        self._port = port
        self._durable = durable
        self._numbers = count(1)
        self._templates: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [
            f"port={self._port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "max_connections=60",
            "shared_buffers=32MB",
            "log_min_messages=fatal",
            *(() if self._durable else _CALM),
        ]
        guarded = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "INT"]
        self._process = subprocess.Popen(
            [*guarded, str(programs() / "postgres"), "-D", str(self._folder / "data")]
            + [word for setting in settings for word in ("-c", setting)],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("ab"),
            **as_somebody(),
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it takes connections."""
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        for _ in range(int(START_SECONDS * 50)):
            if subprocess.run(ready, check=False, timeout=START_SECONDS).returncode == 0:
                return
            assert self._process is not None
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        pytest.fail(f"PostgreSQL did not start: {(self._folder / 'log').read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends its connections and stops in order; SIGQUIT stops at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def database(self, *, migrated: bool = False, **options: str) -> str:
        """The URL of a fresh database; `options` are those of CREATE DATABASE."""
        name = f"test_{next(self._numbers)}"
        if migrated:
            options = {"template": self._migrated_template(), **options}
        chosen = " ".join(f"{option} {value}" for option, value in options.items())
        self.run(f"CREATE DATABASE {name} {chosen}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database that was given: each takes a dozen megabytes."""
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def url(self, database: str, *, user: str = "tests", password: str = PASSWORD) -> str:
        """The URL of a database, whether it is there or not."""
        return (
            f"postgresql://{user}:{password.replace(' ', '%20')}@127.0.0.1:{self._port}/{database}"
        )

    def run(self, sql: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement finds, outside of any transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(sql.encode(), values or None)
            return found.fetchall() if found.description else []

    def terminate_connections(self, url: str) -> int:
        """End every connection to a database, as an administrator does; gives how many."""
        name = url.rpartition("/")[2]
        ended = self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            name,
        )
        return len(ended)

    def _migrated_template(self) -> str:
        name = "migrated"
        if name not in self._templates:
            self.run(f"CREATE DATABASE {name}")
            address = PostgresAddress.parse(self.url(name))
            migrate(address, lambda: uuid("epoch"))
            self._templates.add(name)
        return name


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A running server on a free port; with `durable` a commit waits for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="chorus-pg-"))
    try:
        if os.geteuid() == 0:
            user = _somebody()
            os.chown(folder, user.pw_uid, user.pw_gid)
        _init(folder)
        running = Cluster(folder, free_port(), durable=durable)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _init(folder: Path) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    subprocess.run(
        [
            *(str(programs() / "initdb"), "-D", str(folder / "data"), "-U", "tests"),
            *("--auth", "scram-sha-256", "--pwfile", str(secret), "--no-sync"),
            # The order of a language, which the journal must not depend on.
            *("--encoding", "UTF8", "--locale-provider", "icu", "--icu-locale", "en"),
            *("--locale", "C"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **as_somebody(),
    )


def _somebody() -> pwd.struct_passwd:
    """A user without rights."""
    for name in _SYSTEM_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL runs as no root, and this machine has no user for it")


def as_somebody() -> dict[str, Any]:
    """For `subprocess`: as a user without rights, where this process is root."""
    if os.geteuid() != 0:
        return {}
    user = _somebody()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
