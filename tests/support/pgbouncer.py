"""A real PgBouncer before a database of the tests:

with pooled(url, pool_mode="transaction") as pooled_url:
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.postgres import PASSWORD, as_somebody, free_port

INSTALL: Final = "PgBouncer is not installed, and the tests need it: apt install pgbouncer"
TRIES: Final = 1_500
"""Of connecting to one that starts."""


def program() -> str:
    """Where it is; fails the test where it is not."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    return found if found is not None else pytest.fail(INSTALL)


@contextmanager
def pooled(url: str, **settings: str) -> Iterator[str]:
    """The URL of the same database through a PgBouncer with these settings."""
    asked = conninfo_to_dict(url)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="chorus-pool-"))
    folder.chmod(0o755)
    (folder / "users").write_text(f'"{asked["user"]}" "{PASSWORD}"\n')
    chosen = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "users"),
        **settings,
    }
    lines = [
        "[databases]",
        f"* = host={asked['host']} port={asked['port']}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in chosen.items()),
    ]
    (folder / "settings.ini").write_text("\n".join(lines))
    process = subprocess.Popen(
        [
            *(shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL"),
            *(program(), str(folder / "settings.ini")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        **as_somebody(),
    )
    try:
        _wait_until_ready(process, port, folder / "log")
        yield url.replace(f":{asked['port']}/", f":{port}/")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(TRIES):
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=nobody dbname=none").close()
        except psycopg.OperationalError as error:
            if "Connection refused" not in str(error):
                return  # it answered, that it knows no such user
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"PgBouncer did not start: {log.read_text()}")
