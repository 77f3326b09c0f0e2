"""`chorus diagrams`: draw state machines, write them in the formats of other tools, and with `--check`
say which drawings are stale."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import diagrams
from diagrams import generator
from diagrams.formats import Format, export
from machines.charts import all_charts
from machines.declarations import declaration_of
from machines.statechart import AnyChart, Chart, UnsupportedDeclaration, topology
from machines.statechart.compiler import compile_table
from server.commands.errors import WRONG_USE, CommandFailed


def run(
    *,
    check: bool,
    chart: str | None,
    format_: Format | None,
    out: Path | None,
    say: Callable[[str], None],
) -> None:
    """Write drawings, or look at those that are there.

    Args:
        check: only say which of Chorus' own drawings are not up to date.
        chart: `package.module:Class`, a chart to draw in place of Chorus' own.
        format_: write this in place of drawings.
        out: where to write; by default beside the generator, for `chart` and `format_` the current
            folder.

    Raises:
        CommandFailed: they cannot be drawn here, or are not those of the machines.
    """
    own = Path(diagrams.__file__).parent
    if check:
        if chart is not None or format_ is not None or out is not None:
            raise CommandFailed("--check looks at Chorus' own drawings alone.", exit_code=WRONG_USE)
        _check(own, say)
        return
    drawn = None if chart is None else _chart_named(chart)
    folder = out or (Path() if drawn or format_ else own)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = _written(folder, drawn, format_)
    except generator.DrawingFailed as error:
        raise CommandFailed(str(error), exit_code=WRONG_USE) from error
    except OSError as error:
        raise CommandFailed(
            f"{folder} cannot be written: {error.strerror}.", exit_code=WRONG_USE
        ) from error
    for path in written:
        say(str(path))


def _written(folder: Path, drawn: AnyChart | None, format_: Format | None) -> list[Path]:
    """Raises DrawingFailed and OSError."""
    if format_ is not None:
        charts = (drawn,) if drawn else all_charts()
        return export(folder, (declaration_of(topology(each)) for each in charts), format_)
    return generator.draw(folder, (drawn,)) if drawn else generator.generate(folder)


def _chart_named(name: str) -> AnyChart:
    """The chart of `package.module:Class`, found from the current folder as `python -m` would."""
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise CommandFailed(
            f"{name!r} is not of the form package.module:Class.", exit_code=WRONG_USE
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise CommandFailed(
            f"{module_name} cannot be imported: {type(error).__name__}: {_one_line(error)}",
            exit_code=WRONG_USE,
        ) from error
    finally:
        sys.path.pop(0)
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Chart) or found is Chart:
        raise CommandFailed(f"{module_name} has no chart called {class_name}.", exit_code=WRONG_USE)
    try:
        compile_table(found)
    except UnsupportedDeclaration as error:
        raise CommandFailed(str(error), exit_code=WRONG_USE) from error
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check(folder: Path, say: Callable[[str], None]) -> None:
    problems = generator.check(folder)
    for problem in problems:
        say(problem)
    if problems:
        raise CommandFailed("The drawings are not those of the machines; run chorus diagrams.")
    say("The drawings are those of the machines.")
