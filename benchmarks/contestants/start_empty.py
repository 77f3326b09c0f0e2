"""Helps `start_ready`: a server that imports what a file names, and answers `/readyz` alone.

python -m benchmarks.contestants.start_empty FILE PORT
"""

import contextlib
import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """Import, then serve until SIGTERM."""
    for name in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        # A few names are no modules that can be imported, but what some extension made of itself.
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)

    import uvloop
    from aiohttp import web

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    app = web.Application()
    app.router.add_get("/readyz", ready)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop=uvloop.new_event_loop(),
        print=lambda *_: None,
    )


if __name__ == "__main__":
    main()
