"""`logmonitor key`: a key, alone where a program reads it, explained where a person does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from logmonitor import cli
from logmonitor.signing import KEY_BYTES, parse_key

if TYPE_CHECKING:
    import pytest

KEY = [sys.executable, "-m", "logmonitor", "key"]


def test_key_is_new_each_time_and_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads is the key and nothing else; no two are the same."""
    keys = set()
    for _ in range(3):
        assert cli.main(["key"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        keys.add(captured.out)
    assert len(keys) == 3
    assert {len(parse_key(key.removesuffix("\n"))) for key in keys} == {KEY_BYTES}


def test_key_reaches_a_variable_of_the_shell() -> None:
    """`export TWIN_KEY=$(logmonitor key)` sets it to the key."""
    script = 'export TWIN_KEY=$("$@"); printenv TWIN_KEY'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *KEY], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(parse_key(done.stdout.removesuffix("\n"))) == KEY_BYTES


def test_key_tells_a_person_what_to_do_with_it() -> None:
    """On a terminal the key is followed, on standard error, by what to put where."""
    master, slave = os.openpty()
    with subprocess.Popen(KEY, stdout=slave, stderr=subprocess.PIPE, text=True) as process:
        os.close(slave)
        assert process.stderr is not None
        shown, explained = os.read(master, 4096).decode(), process.stderr.read()
        assert process.wait(60) == 0
    os.close(master)
    key = shown.strip()
    assert len(parse_key(key)) == KEY_BYTES
    assert key not in explained
    assert explained.count("\n") == 3
    assert all(part in explained for part in ("TWIN_KEY", '[bot] twin_key = "${TWIN_KEY}"', "[[watch]]"))
