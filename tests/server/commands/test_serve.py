"""Why a server does not start, in a sentence that names the option to change."""

import errno
import socket

import pytest

from server.commands import serve
from server.commands.errors import CommandFailed
from server.llm.choice import ModelNotChosen
from server.settings import Settings

SETTINGS = Settings(host="chorus.test", port=80)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the server end with `error` in place of starting."""

    async def ends(*_: object) -> None:
        raise error

    monkeypatch.setattr("server.commands.serve.serve", ends)
    # The tests have logs of their own.
    monkeypatch.setattr("server.commands.serve.logs.set_up", lambda: None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, ""), "chorus.test port 80 is in use by another program"),
        (OSError(errno.EADDRNOTAVAIL, ""), "This machine has no address chorus.test; "),
        (OSError(errno.EACCES, ""), "chorus.test port 80 needs more rights than this user has"),
        (socket.gaierror(socket.EAI_NONAME, ""), "The host chorus.test is not known here; "),
        (OSError(errno.EMFILE, ""), "The server cannot run: Too many open files."),
    ],
)
def test_an_address_that_cannot_be_had_is_a_sentence(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(CommandFailed) as refused:
        serve.run(SETTINGS)
    assert str(refused.value).startswith(said)
    assert refused.value.exit_code == 1


def test_a_model_that_cannot_be_had_is_the_options_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ModelNotChosen("the endpoint lists no model"))
    with pytest.raises(CommandFailed) as refused:
        serve.run(SETTINGS)
    assert str(refused.value) == "No model: the endpoint lists no model"
    assert refused.value.exit_code == 2


def test_a_file_that_cannot_be_had_is_not_told_as_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, PermissionError(errno.EACCES, "Permission denied", "chorus-data"))
    with pytest.raises(PermissionError):
        serve.run(SETTINGS)
