"""The ed25519 key on disk: made on first use, readable by its owner alone, refused otherwise.

The file is one line, `chorus-ed25519-seed:` and the base58check of the 32-byte seed; the checksum
tells a damaged file from another person's key. Only this module sees the secret.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp

import base58
from nacl.signing import SigningKey

from server.chat.errors import KeyFileError

SEED_PREFIX = "chorus-ed25519-seed:"
SEED_BYTES = 32
MAX_FILE_BYTES = 1024


@dataclass(frozen=True)
class Identity:
    """A person: a public name, and the power to sign with it."""

    _signing_key: SigningKey = field(repr=False)

    @property
    def public_key(self) -> str:
        """Base58 of the 32 bytes of the public key."""
        return base58.b58encode(self._signing_key.verify_key.encode()).decode("ascii")

    def sign(self, statement: str) -> str:
        """Base58 of the 64 bytes of the signature of `statement` as UTF-8."""
        signature = self._signing_key.sign(statement.encode()).signature
        return base58.b58encode(signature).decode("ascii")


def default_key_file(environment: Mapping[str, str], home: Path) -> Path:
    """Where the key is kept: `CHORUS_KEY_FILE`, else `chorus/key` in the configuration folder."""
    if chosen := environment.get("CHORUS_KEY_FILE"):
        return Path(chosen).expanduser()
    configuration = environment.get("XDG_CONFIG_HOME")
    return (Path(configuration) if configuration else home / ".config") / "chorus" / "key"


def load_or_create(path: Path) -> Identity:
    """The identity in `path`; a fresh one is made where there is no file yet.

    Raises KeyFileError where the file is corrupt, another's, or open to others. Blocks on the disk.
    """
    try:
        if not path.exists():
            _create(path)
        return _parse(path, _read_private(path))
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be used: {error.strerror}.") from error


def _create(path: Path) -> None:
    """Make a key; of two programs that do so at once, the first to finish wins for both."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = (
        SEED_PREFIX + base58.b58encode_check(SigningKey.generate().encode()).decode("ascii") + "\n"
    )
    # Written aside (mkstemp gives 0600) and then linked, so that no one ever reads half a key and
    # an existing key is never overwritten.
    descriptor, aside = mkstemp(prefix=".key-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
    except FileExistsError:
        return
    finally:
        Path(aside).unlink()


def _read_private(path: Path) -> bytes:
    # O_NONBLOCK: a FIFO in the key's place is refused below instead of waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"The key file {path} is not a regular file.")
        if status.st_uid != os.geteuid():
            raise KeyFileError(f"The key file {path} belongs to another user.")
        if mode := stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(
                f"The key file {path} is open to others (mode bits {mode:04o}); run: chmod 600 {path}"
            )
        return file.read(MAX_FILE_BYTES)


def _parse(path: Path, content: bytes) -> Identity:
    seed = _decode(content)
    if seed is None:
        raise KeyFileError(
            f"The key file {path} is corrupt; restore it, or move it away to start with a new key."
        )
    return Identity(SigningKey(seed))


def _decode(content: bytes) -> bytes | None:
    """The seed, or None where anything about the line is wrong."""
    try:
        line = content.decode("ascii").strip()
        seed = base58.b58decode_check(line.removeprefix(SEED_PREFIX))
    except ValueError:
        return None
    return seed if line.startswith(SEED_PREFIX) and len(seed) == SEED_BYTES else None
