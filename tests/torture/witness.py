"""A follower in a process of its own, which writes down what it is given: it may be stopped and killed at any moment.

    python -m tests.torture.witness LOG LEDGER [--stop-behind BYTES]

It goes on from the position in the ledger, without one from the log's beginning, and says `following` once it does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

from logmonitor.follower import Backend, Follower, Start
from logmonitor.records import Chunk
from tests.torture.ledger import Ledger
from tests.torture.writer import archive_of


async def witness(path: Path, ledger: Ledger, *, backend: Backend, stop_behind: int) -> None:
    """Follow until killed; stop by SIGSTOP as soon as more than `stop_behind` bytes are written down."""
    position = ledger.position()
    start = Start.BEGINNING if position is None else {path: position}
    seen_bytes = 0
    async with Follower(path, start=start, backend=backend, archives=[archive_of(path)]) as follower:
        print("following", flush=True)  # noqa: T201 - a program
        async for item in follower:
            if isinstance(item, Chunk) and item.handled:
                continue
            ledger.add(item, follower.position(path))
            if isinstance(item, Chunk) and stop_behind:
                seen_bytes += len(item.data)
                if seen_bytes > stop_behind:
                    stop_behind = 0
                    os.kill(os.getpid(), signal.SIGSTOP)


def main() -> None:
    """Follow a log until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--backend", type=Backend, default=Backend.EVENTS)
    parser.add_argument("--stop-behind", type=int, default=0)
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger)
    asyncio.run(
        witness(
            arguments.log,
            ledger,
            backend=arguments.backend,
            stop_behind=arguments.stop_behind,
        )
    )


if __name__ == "__main__":
    main()
