"""Helps `start_ready`: `chorus serve` that writes what it imported once it is ready, and ends.

python -m benchmarks.contestants.start_listed FILE
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from benchmarks.contestants.start_ready import free_port


def main() -> None:
    """Serve in the main thread, as the command does; a thread asks and writes."""
    file, port = Path(sys.argv[1]), free_port()
    before = frozenset(sys.modules)
    threading.Thread(target=_write, args=(file, port, before), daemon=True).start()

    from server import cli

    sys.exit(cli.run(["serve", "--port", str(port), "--llm", "offline"]))


def _write(file: Path, port: int, before: frozenset[str]) -> None:
    while not _is_ready(port):
        time.sleep(0.01)
    # What this module needed itself is imported by the empty server's own modules too.
    names = [name for name in sys.modules if name not in before]
    file.write_text(json.dumps(names), encoding="utf-8")
    os.kill(os.getpid(), signal.SIGTERM)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
