"""The entry of `chorus chat`: from an address to an exit code.

What a person reads when it does not work is one line on stderr, never a traceback.
"""

import asyncio
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from server.chat.errors import ChatError
from server.chat.text import one_line


async def chat(url: str, thread: str | None, key_file: Path | None, at: str | None = None) -> int:
    """Chat with the server at `url`; returns the exit code.

    On a tty this is the full user interface; without one each line of stdin is a prompt or a slash
    command. `thread` is a number, a name or an id, as `/open` takes it, and `at` a moment of it as `/at` does. `key_file` overrides
    `CHORUS_KEY_FILE` and the default place.
    """
    try:
        return await _chat(url, thread, key_file, at)
    except ChatError as error:
        sys.stderr.write(f"chorus: {one_line(str(error), 400)}\n")
        return 1
    except BrokenPipeError:
        # The reader of stdout has gone; without this, closing stdout at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


async def _chat(url: str, thread: str | None, key_file: Path | None, at: str | None) -> int:
    # Deferred: only who chats pays for the socket, the cryptography and the terminal.
    from server.chat.client import ChorusClient
    from server.chat.keyfile import default_key_file, load_or_create
    from server.chat.signin import parse_url

    endpoint = parse_url(url)
    path = key_file or default_key_file(os.environ, Path.home())
    identity = await asyncio.to_thread(load_or_create, path)
    client = ChorusClient(endpoint, identity, new_id=lambda: str(uuid4()), jitter=random.random)
    async with client:
        if sys.stdin.isatty() and sys.stdout.isatty():
            from server.chat.terminal import Terminal

            history = await asyncio.to_thread(private_history, os.environ, Path.home())
            clock = asyncio.get_running_loop().time
            await Terminal(client, history=history, clock=clock).run(thread, at)
            return 0
        from rich.console import Console

        from server.chat.plain import WIDTH, PlainChat, read_lines

        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        plain = PlainChat(
            client,
            out=Console(file=sys.stdout, color_system=None, force_terminal=False, width=WIDTH),
            progress=Console(file=sys.stderr, color_system=None, force_terminal=False, width=WIDTH),
        )
        return await plain.run(read_lines(sys.stdin.buffer), thread, at)


def private_history(environment: Mapping[str, str], home: Path) -> Path:
    """The file of what was typed before, made readable by its owner alone. Blocks on the disk."""
    configured = environment.get("XDG_STATE_HOME")
    path = (Path(configured) if configured else home / ".local" / "state") / "chorus" / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return Path(os.devnull)  # a chat without a history is better than none
    return path
