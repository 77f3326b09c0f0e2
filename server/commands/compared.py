"""What `chorus diagrams diff` compares: the declarations and the source of a revision, of a folder or of the
working tree. A revision is read by git alone; nothing of it is checked out, imported or run.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from diagrams.source import Codebase, module_name
from machines.declarations import Declaration, UnreadableDeclaration, read_declaration
from server.commands.errors import WRONG_USE, CommandFailed

_WORKING_TREE: Final = "the working tree"
_DECLARATION: Final = re.compile(r"[A-Za-z0-9_]+\.json")
"""Names of files; what other tools' formats are written to has two dots."""
_PYTHON: Final = ".py"
_MOST_BYTES: Final = 4 * 2**20
"""Of one declaration or module; those of Chorus have some 10 KiB."""
_SHORT: Final = 10
"""Digits of a commit's hash that name it."""
_MOST_MODULES: Final = 5_000


class Side(NamedTuple):
    """One of the two that are compared."""

    name: str
    """In a reader's words."""
    declared: tuple[Declaration, ...]
    source: Codebase | None
    """None where it has no source."""
    is_one: bool = False
    """Whether it is one file, so that no other machine is asked for."""

    def asks_for(self, machine: str) -> bool:
        return not self.is_one or machine in {each.machine for each in self.declared}


def side(named: str | None, folder: str, source: str, like: Codebase | None = None) -> Side:
    """Read a side.

    Args:
        named: a revision of git, a folder of declarations or one of them; None is the working tree.
        folder: where a revision has its declarations, from the top of its repository.
        source: the package or the module in which its charts are, from there; what a folder of
            declarations was made of is looked for beside it.
        like: the source of the other side.

    Raises:
        CommandFailed: it is not there, holds what is no declaration, or is too long.
    """
    if ".." in PurePosixPath(source).parts or PurePosixPath(source).is_absolute():
        raise CommandFailed(
            "--source is a path from the top of the repository.", exit_code=WRONG_USE
        )
    if named is None:
        top = Path(_git("rev-parse", "--show-toplevel").decode().rstrip("\n"))
        return Side(_WORKING_TREE, _of_path(top / folder), _source_of_path(top, source, like))
    path = Path(named)
    if _is_there(path):
        is_one = path.is_file()
        beside = _top((path.parent if is_one else path).resolve(), folder)
        return Side(named, _of_path(path), _source_of_path(beside, source, like), is_one)
    commit = _commit(named)
    # A whole hash tells a reader no more than its beginning.
    name = named[:_SHORT] if named == commit else named
    return Side(
        name, _of_revision(named, commit, folder), _source_of_revision(commit, source, like)
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # no name that a file may have, or behind a folder that is shut


def _top(declarations: Path, folder: str) -> Path:
    """Where the paths begin of what a folder of declarations belongs to."""
    parts = PurePosixPath(folder).parts
    is_there = declarations.parts[-len(parts) :] == parts if parts else False
    return declarations.parents[len(parts) - 1] if is_there else declarations.parent


# --- Declarations --------------------------------------------------------------------------------


def _of_path(path: Path) -> tuple[Declaration, ...]:
    try:
        files = [path]
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if _DECLARATION.fullmatch(each.name))
        texts = [(str(file), _bounded(file)) for file in files]
    except OSError as error:
        raise _unreadable(error) from error
    if not texts:
        raise CommandFailed(
            f"{path} has no declarations of machines (*.json).", exit_code=WRONG_USE
        )
    return _read(texts)


def _of_revision(revision: str, commit: str, folder: str) -> tuple[Declaration, ...]:
    listed = _git("ls-tree", "--full-tree", "--name-only", "-z", commit, "--", f"{folder}/")
    paths = [
        path for path in listed.decode().split("\0") if _DECLARATION.fullmatch(Path(path).name)
    ]
    if not paths:
        raise CommandFailed(
            f"{revision} has no {folder}/*.json: it is older than the declarations, or they are in"
            " another --folder.",
            exit_code=WRONG_USE,
        )
    texts = (
        (f"{path} of {revision}", _git("cat-file", "blob", f"{commit}:{path}")) for path in paths
    )
    return _read((name, _short(name, text)) for name, text in texts)


def _read(texts: Iterable[tuple[str, bytes]]) -> tuple[Declaration, ...]:
    declared: dict[str, Declaration] = {}
    for name, text in texts:
        try:
            found = read_declaration(text)
        except UnreadableDeclaration as error:
            raise CommandFailed(
                f"{name} is no declaration: {error}.", exit_code=WRONG_USE
            ) from error
        if found.machine in declared:
            raise CommandFailed(
                f"{name} declares {found.machine} a second time.", exit_code=WRONG_USE
            )
        declared[found.machine] = found
    return tuple(declared.values())


# --- Source --------------------------------------------------------------------------------------


def _source_of_path(top: Path, source: str, like: Codebase | None) -> Codebase | None:
    base = top / source
    try:
        found = sorted(base.rglob(f"*{_PYTHON}")) if base.is_dir() else [base]
        files = [each for each in found if each.suffix == _PYTHON and each.is_file()]
        _few(source, len(files))
        around = top / PurePosixPath(source).parent
        texts = {each.relative_to(around).as_posix(): _bounded(each) for each in files}
    except OSError as error:
        raise _unreadable(error) from error
    return _codebase(texts, like)


def _source_of_revision(commit: str, source: str, like: Codebase | None) -> Codebase | None:
    listed = _git("ls-tree", "--full-tree", "-r", "-z", commit, "--", source).decode()
    entries = (line.partition("\t") for line in listed.split("\0") if line)
    blobs = {path: about.split()[2] for about, _, path in entries if path.endswith(_PYTHON)}
    _few(source, len(blobs))
    told = _git("cat-file", "--batch", given="\n".join(blobs.values()).encode()) if blobs else b""
    around = PurePosixPath(source).parent
    texts = {
        PurePosixPath(path).relative_to(around).as_posix(): _short(path, text)
        for path, text in zip(blobs, _blobs(told), strict=True)
    }
    return _codebase(texts, like)


def _blobs(told: bytes) -> Iterable[bytes]:
    """What `git cat-file --batch` prints: for each a line with its length, and its bytes."""
    at = 0
    while at < len(told):
        begin = told.index(b"\n", at) + 1
        length = int(told[at:begin].split()[2])
        yield told[begin : begin + length]
        at = begin + length + 1


def _codebase(texts: dict[str, bytes], like: Codebase | None) -> Codebase | None:
    """By path, from the folder around the outermost package."""
    modules = {path: PurePosixPath(path).with_suffix("") for path in sorted(texts)}
    if not modules:
        return None
    return Codebase(
        {
            module_name(each.parts): texts[path].decode("utf-8-sig", errors="replace")
            for path, each in modules.items()
        },
        [module_name(each.parts) for each in modules.values() if each.name == "__init__"],
        like=like,
    )


# --- What both need ------------------------------------------------------------------------------


def _bounded(file: Path) -> bytes:
    with file.open("rb") as opened:
        return _short(str(file), opened.read(_MOST_BYTES + 1))


def _short(name: str, text: bytes) -> bytes:
    """Raises CommandFailed where it is too long."""
    if len(text) > _MOST_BYTES:
        what = "module" if name.endswith(_PYTHON) else "declaration"
        raise CommandFailed(f"{name} is no {what}: it is too long.", exit_code=WRONG_USE)
    return text


def _few(source: str, count: int) -> None:
    """Raises CommandFailed where there are too many modules."""
    if count > _MOST_MODULES:
        raise CommandFailed(
            f"{source} has {count} modules: name the package of the charts with --source.",
            exit_code=WRONG_USE,
        )


def _unreadable(error: OSError) -> CommandFailed:
    return CommandFailed(f"{error.filename} cannot be read: {error.strerror}.", exit_code=WRONG_USE)


def _commit(revision: str) -> str:
    # The options of git end before the name, so that one that begins with a dash is a name too.
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = found.decode().strip()
    if not commit:
        raise CommandFailed(
            f"{revision} is no revision, no folder and no file.", exit_code=WRONG_USE
        )
    return commit


def _git(*arguments: str, given: bytes | None = None) -> bytes:
    """What git prints; nothing where it finds nothing.

    Args:
        given: its standard input.

    Raises:
        CommandFailed: git is not installed, or this is no repository.
    """
    try:
        # Git is found as the user's shell finds it.
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            check=False,
            input=given,
        )
    except FileNotFoundError as error:
        raise CommandFailed(
            "git is needed to compare revisions, and was not found.", exit_code=WRONG_USE
        ) from error
    if done.returncode and done.stderr:
        said = " ".join(done.stderr.decode("utf-8-sig", errors="replace").split()).removeprefix(
            "fatal: "
        )
        raise CommandFailed(f"git: {said.rstrip('.')}.", exit_code=WRONG_USE)
    return done.stdout
