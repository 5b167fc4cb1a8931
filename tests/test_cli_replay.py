"""`logmonitor replay`: what it prints, on a pipe and on a terminal, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.cli import main
from logmonitor.records import Signature
from logmonitor.signing import KEY_BYTES, key_text, sign

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent / "data"
INJECTION = DATA / "wechaty-ts.injection.real.log"
TABLE = """\
line  at  event    state          qr                                      user
4         scan     awaiting_scan  https://login.weixin.qq.com/l/Abc123==        loss
22        scanned  scanned
23        scanned  scanned
24        expired  awaiting_scan
42        login    logged_in                                              Bob   return
44        scan     logged_in      https://wechaty.js.or                         untrusted, without effect
45        logout   logged_out                                             Bob   loss
46        scan     awaiting_scan  https://login.weixin.qq.com/l/Def456==
64        login    logged_in                                              Bob   return
66        logout   logged_out                                             Bob   loss
"""


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command and gives its exit code, what it printed, and what it remarked."""

    def run(*words: object) -> tuple[int, str, str]:
        code = main(["replay", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def on_terminal(*words: object, stderr_too: bool = False) -> str:
    """Run the command on a terminal of its own; return what appears there."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm-256color"}
    argv = [sys.executable, "-m", "logmonitor", "replay", *map(str, words)]
    stderr = terminal if stderr_too else subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=terminal, stderr=stderr, env=environment):
        os.close(terminal)
        shown = b""
        while True:
            try:
                block = os.read(controller, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
    os.close(controller)
    return shown.decode()


def test_replay_prints_a_plain_table(replay: Callable[..., tuple[int, str, str]]) -> None:
    """On a pipe the events are an aligned table, the forged line marked, and stderr says which family was chosen."""
    assert replay(INJECTION) == (0, TABLE, "profile: wechaty-ts (Wechaty (TypeScript))\n")


def test_replay_prints_json(replay: Callable[..., tuple[int, str, str]]) -> None:
    """With `--json` each event is one object with exactly the keys that were promised."""
    code, out, _ = replay(INJECTION, "--json", "--profile", "wechaty-ts")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert records[0] == {
        "line": 4,
        "offset": 133,
        "kind": "scan",
        "state": "awaiting_scan",
        "qr": "https://login.weixin.qq.com/l/Abc123==",
        "user": None,
        "at": None,
        "trusted": True,
        "verified": False,
    }
    assert [(record["line"], record["trusted"]) for record in records if not record["trusted"]] == [(44, False)]
    assert [record["line"] for record in records] == sorted(record["line"] for record in records)


def test_replay_says_when_in_iso(replay: Callable[..., tuple[int, str, str]]) -> None:
    """A dated log's events say when, in ISO 8601 with zone."""
    _, out, _ = replay(DATA / "openclaw-weixin.real.jsonl", "--json")
    assert json.loads(out.splitlines()[0])["at"] == "2026-11-20T22:54:02.143000+00:00"


def test_replay_dates_by_zone_and_file(replay: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """With a zone, a log without dates takes them from when it was last written, over midnight."""
    log = tmp_path / "bob.log"
    log.write_text("23:59:00 INFO Bot Contact<Bob> login\n00:01:00 INFO Bot Contact<Bob> logout\n")
    os.utime(log, (1_795_219_200, 1_795_219_200))
    _, out, _ = replay(log, "--json", "--timezone", "UTC")
    assert [json.loads(line)["at"] for line in out.splitlines()] == [
        "2026-11-20T23:59:00+00:00",
        "2026-11-21T00:01:00+00:00",
    ]


def test_replay_with_a_zone_reads_a_log_without_any_time(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """A zone is of no use, and no harm, where no line says when it was."""
    log = tmp_path / "bob.log"
    log.write_text("no line of a bot\n")
    assert replay(log, "--profile", "wechaty-ts", "--timezone", "UTC")[:2] == (0, "")
    log.write_text("")
    assert replay(log, "--profile", "wechaty-ts", "--timezone", "UTC")[:2] == (0, "")


def test_replay_without_events_says_so(replay: Callable[..., tuple[int, str, str]]) -> None:
    """A log that holds no session event gives an empty table and a remark."""
    code, out, err = replay(DATA / "baileys-errored.real.log")
    assert (code, out) == (0, "")
    assert err == "profile: baileys (Baileys)\nno session events in this log\n"


def test_replay_finds_the_family_in_the_middle_of_a_long_log(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Where neither the beginning nor the end of a long log tells its family, the rest is looked through."""
    log = tmp_path / "bob.log"
    noise = b"some other line of the bot's own\n" * 80_000
    log.write_bytes(noise + b"Login successfully as Bob\n" + noise)
    code, out, err = replay(log, "--json")
    assert (code, json.loads(out)["line"], err) == (0, 80_001, "profile: itchat-uos (itchat, itchat-uos)\n")


def test_replay_of_an_unknown_log_asks_for_a_profile(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """A log that no family fits is a finding: one sentence that lists the names."""
    log = tmp_path / "bob.log"
    log.write_text("hello\n")
    code, out, err = replay(log)
    assert (code, out) == (1, "")
    assert err.startswith("logmonitor replay: no profile fits this log; name one of astrbot, ")


def test_replay_takes_profiles_of_the_users_own(replay: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A profile in the folder that the user names is known."""
    (tmp_path / "mine.toml").write_text('title = "Mine"\n[[event]]\nkind = "login"\npattern = "I am (?P<user>.*)"\n')
    log = tmp_path / "bob.log"
    log.write_text("I am Bob\n")
    _, out, err = replay(log, "--profiles", tmp_path)
    assert (out.split()[-4:], err) == (["1", "login", "logged_in", "Bob"], "profile: mine (Mine)\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.log"], "cannot read 'nowhere.log': no such file or directory"),
        (["nowhere.log", "--profile", "cow"], "cannot read 'nowhere.log': no such file or directory"),
        ([DATA], f"cannot read {str(DATA)!r}: is a directory"),
        ([INJECTION, "--profile", "wechatyts"], "unknown profile 'wechatyts'; did you mean 'wechaty-ts'?"),
        (
            [INJECTION, "--timezone", "Europe/Pari"],
            "unknown time zone 'Europe/Pari'; did you mean 'Europe/Paris'?",
        ),
        ([INJECTION, "--timezone", "????"], "unknown time zone '????'; expected a name such as 'Asia/Shanghai'"),
    ],
)
def test_replay_says_what_it_cannot_use(
    replay: Callable[..., tuple[int, str, str]], words: list[object], sentence: str
) -> None:
    """What cannot be read or is not known ends with one sentence and exit code 2."""
    assert replay(*words) == (2, "", f"logmonitor replay: {sentence}\n")


def test_replay_shows_what_a_log_says_and_does_not_obey_it(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Control characters of a user's name are shown as escapes, a long payload shortened, a drawing by its size."""
    log = tmp_path / "bob.log"
    log.write_text(
        "22:00:00 INFO B Contact<\x1b[2J\x07Bob> login\n"
        f"22:00:01 INFO B onScan: Waiting(2) - 2@{'x' * 90}\n"
        "22:00:02 INFO B onScan: Scanned(3)\n"
        "22:00:02 INFO B onScan: Waiting(2)\n"
    )
    _, out, _ = replay(log)
    assert r"Bob" in out
    assert "\x1b" not in out
    assert f"2@{'x' * 45}…" in out


def test_replay_shows_images_and_drawings(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A QR that is an image is shown by its path, one that is only drawn by its size."""
    _, out, _ = replay(DATA / "itchat-uos.real.log")
    assert str(DATA / "QR.png") in out
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    drawing = INJECTION.read_text().splitlines()[4:20]
    log = tmp_path / "bob.log"
    log.write_text("\n".join(drawing))
    _, out, _ = replay(log, "--profile", "wechaty-ts")
    assert "drawn, 29x29" in out


def test_replay_on_a_terminal_draws_a_table() -> None:
    """On a terminal the table is coloured and says the same."""
    shown = on_terminal(INJECTION)
    assert "\x1b[" in shown
    assert "untrusted, without effect" in shown


def test_replay_on_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    """On a terminal a long log is read under a progress bar."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"22:00:00 INFO Bot some line that is quite long but says nothing\n" * 600_000)
    assert "bob.log" in on_terminal(log, "--profile", "wechaty-ts", stderr_too=True)


def test_replay_ends_quietly_on_a_closed_pipe(tmp_path: Path) -> None:
    """Who reads only the first line ends the command without a word."""
    log = tmp_path / "bob.log"
    log.write_text("22:00:00 INFO B Contact<B> login\n22:00:01 INFO B Contact<B> logout\n" * 20_000)
    argv = [sys.executable, "-m", "logmonitor", "replay", str(log), "--json", "--profile", "wechaty-ts"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"line": 1,')
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_replay_believes_no_line_from_the_future_behind_a_message(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Behind a message whose length is not known, a line stamped later than now is a stranger's."""
    log = tmp_path / "bob.log"
    log.write_text(
        "2026-11-20 10:00:00,000 - Wechaty - INFO - receive <login> event <EventLoginPayload(contact_id='bot')>\n"
        "2026-11-20 10:00:02,000 - Wechaty - INFO - receive message <Message#message_type_text[🗣 Contact <e> <E>\thi\n"
        "2036-01-01 00:00:00,000 - Wechaty - INFO - receive <logout> event <EventLogoutPayload(contact_id='bot')>\n",
        encoding="utf-8",
    )
    _, out, _ = replay(log, "--profile", "python-wechaty", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["kind"], event["state"], event["trusted"]) for event in events] == [
        ("login", "logged_in", True),
        ("logout", "logged_in", False),
    ]


SIGNED_AT = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


def signed_log(folder: Path) -> tuple[Path, Path]:
    """Write a log with lines of which some are signed by bob, and the key; return both paths."""
    path, key_path = folder / "somewhere.log", folder / "twin.key"
    lines = []
    for sequence, text in enumerate(("onScan: Waiting(2) - 2@abc", "Contact<Bob> login")):
        line = f"22:44:35 INFO StarterBot {text}"
        signature = Signature(at=SIGNED_AT, boot="00c0ffee", sequence=sequence)
        lines.append(line + sign(line, signature, bot="bob", key=bytes(KEY_BYTES)))
    logout = "22:44:35 INFO StarterBot Contact<Bob> logout"
    path.write_text("\n".join([*lines, lines[0], f"{logout} lm1 a b c", logout, ""]))
    key_path.write_text(f"{key_text(bytes(KEY_BYTES))}\n")
    return path, key_path


def test_replay_verifies_signed_lines(replay: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """With the twins' key and the bot's name the table says what is signed, and what is refused why."""
    log, key = signed_log(tmp_path)
    words = (log, "--profile", "wechaty-ts", "--name", "bob", "--twin-key-file", key)
    assert (
        replay(*words)[1]
        == """\
line  at                        event   state          qr     user
1     2026-11-20 22:00:00+0000  scan    awaiting_scan  2@abc        signed, loss
2     2026-11-20 22:00:00+0000  login   logged_in             Bob   signed, return
3                               scan    logged_in      2@abc        refused: replayed
4                               logout  logged_in             Bob   refused: wrong signature
5                               logout  logged_out            Bob   loss
"""
    )
    _, out, _ = replay(*words, "--require-signed", "--json")
    assert [
        (record["verified"], record["refused"], record["state"]) for record in map(json.loads, out.splitlines())
    ] == [
        (True, None, "awaiting_scan"),
        (True, None, "logged_in"),
        (False, "replayed", "logged_in"),
        (False, "wrong", "logged_in"),
        (False, "unsigned", "logged_in"),
    ]


def test_replay_tells_of_a_line_that_is_older_than_another(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """A signed line that stands behind a newer one is shown with its time, and as without effect."""
    log, key = signed_log(tmp_path)
    first, second, *_ = log.read_text().splitlines()
    log.write_text(f"{second}\n{first}\n")
    _, out, _ = replay(log, "--profile", "wechaty-ts", "--name", "bob", "--twin-key-file", key)
    assert out.splitlines()[1:] == [
        "1     2026-11-20 22:00:00+0000  login  logged_in         Bob   signed",
        "2     2026-11-20 22:00:00+0000  scan   logged_in  2@abc        signed, but older than another, without effect",
    ]


def test_replay_takes_the_bots_name_from_the_log(replay: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Without `--name` a log is that of the bot it is called after."""
    log, key = signed_log(tmp_path)
    for name, verified in (("bob.log", 2), ("carol.log", 0)):
        log = log.rename(tmp_path / name)
        _, out, _ = replay(log, "--profile", "wechaty-ts", "--twin-key-file", key, "--json")
        assert sum(json.loads(line)["verified"] for line in out.splitlines()) == verified


def test_replay_strikes_what_is_refused_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a refused line is struck through, as an untrusted one is."""
    log, key = signed_log(tmp_path)
    shown = on_terminal(log, "--profile", "wechaty-ts", "--name", "bob", "--twin-key-file", key)
    struck = [line for line in shown.splitlines() if "\x1b[2;9m" in line]
    assert ["replayed" in line or "wrong" in line for line in struck] == [True, True]


def test_replay_refuses_a_key_that_is_none(replay: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A key file that cannot be read, or holds no key, is one sentence and exit code 2; the key is not shown."""
    log, key = signed_log(tmp_path)
    missing = tmp_path / "none.key"
    assert replay(log, "--twin-key-file", missing) == (
        2,
        "",
        f"logmonitor replay: cannot read {str(missing)!r}: no such file or directory\n",
    )
    for content in (b"", b"secret", b"\xff" * 43, key.read_bytes() * 100):
        key.write_bytes(content)
        code, out, err = replay(log, "--twin-key-file", key)
        assert (code, out) == (2, "")
        assert err == (
            f"logmonitor replay: {str(key)!r}: bad twin key; expected the 43 characters that `logmonitor key` prints\n"
        )
    assert replay(log, "--require-signed") == (
        2,
        "",
        "logmonitor replay: --require-signed needs a key; expected --twin-key-file FILE\n",
    )
