"""How long from the scan line on disk to the QR inside the Wechaty gateway: logmonitor beside a 2 s poll.

One command: `python benchmarks/rescue.py`, with Node and its packages installed (`make gateway`); JSON on stdout. Both
speak to a real gateway process; what the gateway takes by itself for one file is measured in the same run. Each rescue
is of a new loss: a scan line, the QR, a login line.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grpclib.client import Channel
from wechaty_grpc.wechaty import PuppetStub

from logmonitor import Qr, render_png

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.gateway.driver import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_SECONDS = 2.0
CONFIGURATION = """
[bot]
name = "alice"
[chat]
transport = "wechaty"
endpoint = "{endpoint}"
token = "{token}"
tls = false
admins = ["AdminWeixin"]
[[watch]]
name = "bob"
log = "bob.log"
profile = "wechaty-ts"
[[operation]]
use = "qr_rescue"
watch = "bob"
"""


def url(number: int) -> str:
    """Return the content of a QR, another one each time."""
    return f"http://weixin.qq.com/x/{number:020d}"


def write(log: Path, text: str) -> int:
    """Append a line as a Wechaty bot does; return the time right before, in nanoseconds."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = f"{datetime.now(UTC):%H:%M:%S} INFO StarterBot {text}\n".encode()
    started = time.monotonic_ns()
    os.write(descriptor, line)
    os.close(descriptor)
    return started


async def file_after(gateway: Gateway, seen: int) -> int:
    """Wait until the gateway has a file that it did not have when it had `seen` messages; return how many it has."""
    while True:
        sent = await gateway.wait_for(seen + 1)
        seen += 1
        if sent[seen - 1].type == "file":
            return seen


async def rescues(gateway: Gateway, log: Path, count: int, *, pause: float) -> list[float]:
    """Let the bot be lost and come back `count` times, after up to `pause` seconds; return each QR's milliseconds."""
    rand = random.Random(1)  # noqa: S311  # the same pauses each time
    samples: list[float] = []
    for number in range(count):
        await asyncio.sleep(rand.uniform(0, pause))
        seen = len(gateway.sent)
        started = write(log, f"onScan: Waiting(2) - https://wechaty.js.org/qrcode/{url(number)}")
        seen = await file_after(gateway, seen)
        samples.append((time.monotonic_ns() - started) / 1e6)
        write(log, "Contact<Bob> login")
        while "logged in" not in gateway.sent[-1].text:
            await gateway.wait_for(len(gateway.sent) + 1)
    return samples


@asynccontextmanager
async def logmonitor(gateway: Gateway, log: Path) -> AsyncIterator[None]:
    """Run logmonitor as a process of its own."""
    path = log.with_name("alice.toml")
    path.write_text(CONFIGURATION.format(endpoint=gateway.endpoint, token=gateway.token), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logmonitor", "run", str(path)), stderr=subprocess.DEVNULL
    )
    try:
        while not gateway.sent:  # it answers once it is there
            await gateway.say("admin", "status")
            await asyncio.sleep(0.2)
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def poll(gateway: Gateway, log: Path) -> AsyncIterator[None]:
    """Look at the log every two seconds, and send what is found through the gateway: no more than that."""
    channel = Channel("127.0.0.1", gateway.port)
    stub = PuppetStub(channel, metadata={"authorization": f"Wechaty {gateway.token}"})

    async def look() -> None:
        with log.open(encoding="utf-8") as file:
            file.seek(0, os.SEEK_END)
            while True:
                await asyncio.sleep(POLL_SECONDS)
                for line in file:
                    if "onScan" in line:
                        await send_qr(stub, line.rstrip().rpartition("/qrcode/")[2])
                    elif "login" in line:
                        await stub.message_send_text(conversation_id="admin", text="logged in")

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        channel.close()


async def send_qr(stub: PuppetStub, payload: str) -> None:
    """Send a QR as a file."""
    image = base64.b64encode(render_png(Qr(payload=payload))).decode()
    box = json.dumps({"type": 1, "boxType": 1, "name": "qr.png", "metadata": {}, "base64": image})
    await stub.message_send_file(conversation_id="admin", filebox=box)


async def floor(gateway: Gateway, count: int) -> list[float]:
    """Send files one after the other, with nothing else; return how long each took until the gateway had it."""
    channel = Channel("127.0.0.1", gateway.port)
    stub = PuppetStub(channel, metadata={"authorization": f"Wechaty {gateway.token}"})
    samples: list[float] = []
    for number in range(count):
        seen = len(gateway.sent)
        started = time.monotonic_ns()
        await send_qr(stub, url(number))
        await gateway.wait_for(seen + 1)
        samples.append((time.monotonic_ns() - started) / 1e6)
    channel.close()
    return samples


def figures(samples: list[float]) -> dict[str, float | int]:
    """Return the median, the 99th percentile and the longest."""
    ordered = sorted(samples)
    return {
        "rescues": len(ordered),
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "max_ms": round(ordered[-1], 2),
    }


async def measure(count: int, polled: int) -> dict[str, object]:
    """Measure all three against one gateway."""
    async with Gateway(name="alice") as gateway:
        await gateway.do("contact", id="admin", weixin="AdminWeixin")
        await gateway.do("login")
        result: dict[str, object] = {"drawing and sending alone": figures(await floor(gateway, count))}
        runs = ("logmonitor", logmonitor, count, 0.05), (f"poll every {POLL_SECONDS:g} s", poll, polled, POLL_SECONDS)
        for label, run, times, pause in runs:
            with tempfile.TemporaryDirectory() as name:
                log = Path(name) / "bob.log"
                write(log, "Contact<Bob> login")
                gateway.sent.clear()
                async with run(gateway, log):
                    result[label] = figures(await rescues(gateway, log, times, pause=pause))
    return result


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rescues", type=int, default=200)
    parser.add_argument("--polled", type=int, default=20, help="rescues of the poll, each of which takes up to 4 s")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(measure(arguments.rescues, arguments.polled)), indent=2))


if __name__ == "__main__":
    main()
