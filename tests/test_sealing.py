"""Secrets at rest, and the file with the key to them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import ConfigurationError
from logmonitor.sealing import Seal, load_seal, make_key_file

if TYPE_CHECKING:
    from pathlib import Path

KEY = "6Hd1aX0fJb3rQ8yO2mWq5sVtE9cKzLpNnUiGwYx7T_o="
OTHER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return a new key file."""
    path = tmp_path / "bot.key"
    make_key_file(path)
    return path


@given(st.binary(max_size=200))
def test_seal_opens_what_it_sealed_and_shows_none_of_it(secret: bytes) -> None:
    """What was sealed comes back under the same key, and does not stand in the sealed text."""
    seal = Seal(KEY)
    sealed = seal.seal(secret)
    assert seal.unseal(sealed) == secret
    assert len(secret) < 4 or secret not in sealed


@given(st.integers(0), st.integers(0, 7))
def test_seal_refuses_what_was_changed(position: int, bit: int) -> None:
    """No bit of what was sealed can be changed without its being refused, but for those that mean nothing."""
    sealed = bytearray(Seal(KEY).seal(b"secret"))
    sealed[position % len(sealed)] ^= 1 << bit
    try:
        assert Seal(KEY).unseal(bytes(sealed)) == b"secret"
    except ConfigurationError as error:
        assert "changed" in str(error)  # noqa: PT017  # the padding of base 64 has bits that mean nothing


@pytest.mark.parametrize("sealed", [b"", b"nonsense", "é".encode(), bytes(100)])
def test_seal_refuses_what_was_never_sealed(sealed: bytes) -> None:
    """What is no sealed text is refused like one under another key."""
    with pytest.raises(ConfigurationError, match="not the one that a secret in the store was sealed under"):
        Seal(KEY).unseal(sealed)


def test_seal_refuses_another_key_without_showing_either() -> None:
    """Under another key nothing opens; the error shows no key."""
    with pytest.raises(ConfigurationError, match=r"^\[security\] key is not the one") as caught:
        Seal(OTHER_KEY, origin="[security] key").unseal(Seal(KEY).seal(b"secret"))
    assert KEY not in str(caught.value)
    assert OTHER_KEY not in str(caught.value)
    assert KEY not in repr(Seal(KEY))


@pytest.mark.parametrize("key", ["", "secret", KEY[1:], KEY + "AAAA", "é" * 44, "\ud800" * 44, KEY.replace("=", "!")])
def test_seal_refuses_what_is_no_key_without_showing_it(key: str) -> None:
    """A text that is no Fernet key is refused; the error does not show it."""
    with pytest.raises(ConfigurationError, match="expected the 44 characters of a Fernet key") as caught:
        Seal(key)
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_key_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    """A key file has mode 0600 from the beginning, holds a key and a line end, and leaves no draft behind."""
    for umask in (0o000, 0o022, 0o777):
        path = tmp_path / f"{umask:o}.key"
        before = os.umask(umask)
        try:
            make_key_file(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_bytes()) == 45
        assert load_seal(key=None, key_file=path).unseal(Seal(path.read_text().strip()).seal(b"x")) == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.key", "22.key", "777.key"]


def test_key_file_is_new_each_time(tmp_path: Path) -> None:
    """No two key files hold the same."""
    paths = [tmp_path / f"{number}.key" for number in range(3)]
    for path in paths:
        make_key_file(path)
    assert len({path.read_bytes() for path in paths}) == 3


def test_key_file_replaces_none(key_file: Path) -> None:
    """Where something is, a dangling link too, no key is made, and what is there stays."""
    before = key_file.read_bytes()
    with pytest.raises(ConfigurationError, match="is there already"):
        make_key_file(key_file)
    assert key_file.read_bytes() == before
    link = key_file.with_name("link.key")
    link.symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="is there already"):
        make_key_file(link)
    assert sorted(path.name for path in key_file.parent.iterdir()) == ["bot.key", "link.key"]


def test_key_file_is_made_once_by_many(tmp_path: Path) -> None:
    """Of several processes that make one at once, one does, and the others are told that it is there."""
    script = "import sys; from pathlib import Path; from logmonitor.sealing import make_key_file\n"
    script += "sys.stdin.read(); make_key_file(Path(sys.argv[1]))"
    path = tmp_path / "bot.key"
    argv = [sys.executable, "-c", script, str(path)]
    makers = [subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.close()
    codes = []
    for maker in makers:
        assert maker.stderr is not None
        said = maker.stderr.read()
        maker.stderr.close()
        codes.append(maker.wait(60))
        assert maker.returncode == 0 or b"is there already" in said
    assert sorted(codes) == [0, 1, 1, 1]
    assert load_seal(key=None, key_file=path)


@pytest.mark.parametrize("name", ["missing/bot.key", "bot\0.key"])
def test_key_file_says_why_it_cannot_be_made(tmp_path: Path, name: str) -> None:
    """A folder that is not there, or a name that no file can have, is told in a sentence."""
    with pytest.raises(ConfigurationError, match=r"cannot be made: (open: )?(no such file|embedded null)"):
        make_key_file(tmp_path / name)


def test_key_from_the_environment_wins(tmp_path: Path) -> None:
    """With a key the file is not even looked at; what stands around the key does not count."""
    seal = load_seal(key=f" {KEY}\n", key_file=tmp_path / "missing.key")
    assert seal.unseal(Fernet(KEY).encrypt(b"secret")) == b"secret"


def test_key_from_the_environment_is_no_reason_to_fall_back(key_file: Path) -> None:
    """A key that is set and empty, or none, is refused, whatever lies in the file."""
    for key in ("", "nonsense"):
        with pytest.raises(ConfigurationError, match=r"^\[security\] key is no key"):
            load_seal(key=key, key_file=key_file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777])
def test_key_file_that_others_can_use_is_refused_with_the_remedy(key_file: Path, mode: int) -> None:
    """Whatever a group or everybody may do with the file, it is refused, and the error says what to type."""
    key_file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600 '{key_file}'"):
        load_seal(key=None, key_file=key_file)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_key_file_may_be_its_owners_in_two_ways(key_file: Path, mode: int) -> None:
    """A file that its owner may read, or read and write, is taken."""
    key_file.chmod(mode)
    assert load_seal(key=None, key_file=key_file)


def test_key_file_that_is_a_link_is_refused(key_file: Path) -> None:
    """A symbolic link is refused, to a good key file too: who can turn it chooses the key."""
    link = key_file.with_name("link.key")
    link.symlink_to(key_file)
    with pytest.raises(ConfigurationError, match="is a symbolic link; expected the file itself"):
        load_seal(key=None, key_file=link)


def test_key_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory or a pipe is refused, and nothing waits for it."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match=r"is no ordinary file|is a directory"):
            load_seal(key=None, key_file=path)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to give a file away")
def test_key_file_of_another_user_is_refused(key_file: Path) -> None:
    """A file that belongs to neither us nor root is refused: its owner knows the key, and chose it."""
    os.chown(key_file, 12345, -1)
    with pytest.raises(ConfigurationError, match=r"belongs to user 12345; expected user 0.*chown 0 "):
        load_seal(key=None, key_file=key_file)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", "is no key"), (b"\xff" * 44, "is no key"), (KEY.encode()[1:], "is no key"), (b"x" * 2000, "has 2000 bytes")],
)
def test_key_file_that_holds_no_key_is_refused_without_being_shown(key_file: Path, content: bytes, wanted: str) -> None:
    """An empty file, one of a cut key or something else altogether is told apart from a key, and not shown."""
    key_file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        load_seal(key=None, key_file=key_file)
    assert not content or content.decode("latin-1") not in str(caught.value)


def test_key_file_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    """Without a key file the error says what makes one."""
    with pytest.raises(ConfigurationError, match=r"no key file .*logmonitor totp enroll"):
        load_seal(key=None, key_file=tmp_path / "bot.key")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be read: not a directory"):
        load_seal(key=None, key_file=tmp_path / "file" / "bot.key")
