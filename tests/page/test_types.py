"""The page's modules are held to the wire protocol: drift of any kind fails before a browser runs."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from server.http.page_types import TYPES_FILE, drift, page_types

ROOT: Final = Path(__file__).parents[2]


def node_tool(name: str, *arguments: str, folder: Path = ROOT, stdin: str = "") -> str:
    """What a tool of package.json prints, run in `folder`; empty where it finds nothing."""
    program = ROOT / "node_modules" / ".bin" / name
    if not program.exists():
        pytest.fail(f"{name} is not at {program}; fetch it with: make node", pytrace=False)
    done = subprocess.run(
        [program, *arguments], cwd=folder, input=stdin, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def definition(name: str) -> str:
    """The definition of a type, without its comments."""
    text = page_types()
    start = text.index(f" {name} ")
    lines = text[start : text.index(";\n\n" if text[start - 4 : start] == "type" else "}\n", start)]
    return "\n".join(
        line for line in lines.splitlines() if not line.strip().startswith(("/*", "*"))
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page's modules that tsc can check: the folder with its tsconfig.json."""
    shutil.copytree(TYPES_FILE.parent, tmp_path / "server" / "page")
    shutil.copy(ROOT / "tsconfig.json", tmp_path)
    return tmp_path


def altered(page: Path, old: str, new: str) -> str:
    """What tsc says of the copy once `old` reads `new` in the generated types."""
    types = page / "server" / "page" / TYPES_FILE.name
    text = types.read_text(encoding="utf-8")
    assert old in text, f"{old} is not in {types.name}: alter something else"
    types.write_text(text.replace(old, new), encoding="utf-8")
    return node_tool("tsc", folder=page)


def test_the_committed_types_are_those_of_the_models() -> None:
    assert drift() is None


def test_a_file_that_differs_or_is_gone_is_named_with_what_to_do(tmp_path: Path) -> None:
    stale = tmp_path / "wire.d.ts"
    assert drift(stale) == "wire.d.ts is not what the models say; run make types."
    stale.write_text(page_types() + "\n", encoding="utf-8")
    assert drift(stale) is not None


def test_definitions_are_sorted() -> None:
    names = [line.split()[2] for line in page_types().splitlines() if line.startswith("export ")]
    assert names == sorted(names)


def test_what_a_request_may_leave_out_is_optional_and_may_be_null() -> None:
    assert "before_index?: number | null;" in definition("GetThreadData")
    assert "  thread_id: string;" in definition("GetThreadData")


def test_what_the_server_leaves_out_is_never_null() -> None:
    assert "priors?: readonly Prior[];" in definition("StepCompletedData")
    assert "usage: Usage | null;" in definition("StepCompletedData")


def test_unions_stay_discriminated() -> None:
    assert 'status: "delta";' in definition("StepDeltaData")
    assert "| StepDeltaData" in definition("ChorusResponseData")
    assert "output: StepOutput;" in definition("StepCompletedData")


def test_each_request_leads_to_the_data_of_its_reply() -> None:
    assert "get_thread: ThreadMessagesFrame;" in definition("Replies")
    assert "submit_prompt: AcceptedFrame;" in definition("Replies")


def test_the_page_as_it_is_passes_in_a_copy(page: Path) -> None:
    assert node_tool("tsc", folder=page) == ""


@pytest.mark.parametrize(
    ("old", "new", "reader"),
    [
        ("  head_seq: number;", "  newest_seq: number;", "store.js"),
        ("  reasoning: string;\n  loop: boolean;", "  reasoning: string;", "views/step.js"),
        ('  | "storage_unavailable"', '  | "journal_unavailable"', "words.js"),
        ('  | "retry_run"', '  | "retry_run"\n  | "fork_thread"', "protocol.js"),
        ("export type ProtocolVersion = 1;", "export type ProtocolVersion = 2;", "protocol.js"),
        ("  before_index?: number | null;", "  before?: number | null;", "app.js"),
    ],
    ids=["field", "output", "error code", "mutating request", "version", "field of a request"],
)
def test_a_change_of_the_protocol_fails_the_module_that_relies_on_it(
    page: Path, old: str, new: str, reader: str
) -> None:
    assert f"server/page/{reader}" in altered(page, old, new)


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("document.body.innerHTML = location.hash;", "no-restricted-properties"),
        ('document.body.insertAdjacentHTML("beforeend", name);', "no-restricted-properties"),
        ('new DOMParser().parseFromString(name, "text/html");', "no-restricted-globals"),
        ("eval(name);", "no-eval"),
        ("if (name == 1) close();", "eqeqeq"),
        ("export var here = 1;", "no-var"),
        ('document.title = "Nothing was found.";', "no-restricted-syntax"),
        ('document.body.append("Retry");', "no-restricted-syntax"),
        ("document.body.append(`${names.length} people`);", "no-restricted-syntax"),
    ],
)
def test_lint_refuses_what_the_page_must_not_do(code: str, rule: str) -> None:
    said = node_tool("eslint", "--stdin", "--stdin-filename=server/page/new.js", stdin=f"{code}\n")
    assert rule in said
