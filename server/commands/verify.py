"""`chorus verify`: whether journal, memory and runs agree, and with `--repair` that they do.

With `--restored` it is also what ends the putting back of a backup.
"""

from collections.abc import Callable

from server.commands.journal_file import existing_journal
from server.commands.maintenance import verify
from server.environment import Environment
from server.settings import Settings


async def run(
    settings: Settings,
    environment: Environment,
    *,
    repair: bool,
    restored: bool,
    say: Callable[[str], None],
) -> int:
    """Tell each problem, and what was mended; gives the exit code, 0 where none is left."""
    existing_journal(settings)
    left = await verify(settings, environment, repair=repair, restored=restored, say=say)
    if left == 0:
        say("Everything agrees.")
        return 0
    problems = "1 problem" if left == 1 else f"{left} problems"
    say(f"{problems} left." if repair else f"{problems}; chorus verify --repair mends them.")
    return 1
