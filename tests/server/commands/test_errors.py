"""What a user reads of each failure of a command, and its exit code."""

import errno

import pytest

from machines.models.errors import JournalError
from server.chat.errors import Unreachable
from server.commands.errors import CommandFailed, explained, refuse
from server.settings import InvalidSettings


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (InvalidSettings(("CHORUS_PORT must be a whole number",)), "CHORUS_PORT must", 2),
        (CommandFailed("The run failed."), "The run failed.", 1),
        (CommandFailed("No model.", exit_code=2), "No model.", 2),
        (JournalError("The journal file is damaged."), "The journal file is damaged.", 1),
        (Unreachable("No server answers there."), "No server answers there.", 1),
        (FileNotFoundError(errno.ENOENT, "No such file", "key"), "key: No such file", 1),
        (OSError(errno.ENOSPC, "No space left"), "No space left", 1),
        (
            ModuleNotFoundError("No module named 'rich'", name="rich"),
            "The module rich is not installed; install Chorus again.",
            2,
        ),
    ],
)
def test_a_failure_is_a_sentence_and_an_exit_code(error: Exception, said: str, code: int) -> None:
    sentence, exit_code = explained(error)
    assert sentence.startswith(said)
    assert exit_code == code


def test_a_defect_names_its_place_and_not_what_it_worked_on() -> None:
    with pytest.raises(ValueError, match="a secret") as defect:
        int("a secret")
    sentence, exit_code = explained(defect.value)
    assert sentence.startswith("internal error: ValueError at test_errors.py:")
    assert "secret" not in sentence
    assert exit_code == 1


def test_a_failure_takes_three_lines_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse("one\ntwo\nthree\nfour", 2) == 2
    assert capsys.readouterr().err == "chorus: one\nchorus: two\nchorus: three\n"
