"""Which configuration a command works on."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from logmonitor.cli.configured import add_config_option, config_path
from logmonitor.errors import ConfigurationError

BOT = '[bot]\nname = "alice"\n'


def parsed(*words: str) -> argparse.Namespace:
    """Return what a command with a subcommand understands, both of which take the option."""
    parser = argparse.ArgumentParser()
    add_config_option(parser)
    add_config_option(parser.add_subparsers().add_parser("list"))
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [("--config", "a.toml", "list"), ("list", "-c", "a.toml"), ("-c", "a.toml")])
def test_config_path_is_the_options_wherever_it_stands(words: tuple[str, ...], tmp_path: Path) -> None:
    """The option wins over the environment and the folder, before a subcommand and behind it."""
    (tmp_path / "bob.toml").write_text(BOT)
    environ = {"LOGMONITOR_CONFIG": "other.toml"}
    assert config_path(parsed(*words), environ=environ, folder=tmp_path) == Path("a.toml")


def test_config_path_is_the_environments_before_the_folders(tmp_path: Path) -> None:
    """Without the option the variable says it."""
    (tmp_path / "bob.toml").write_text(BOT)
    environ = {"LOGMONITOR_CONFIG": "/etc/alice.toml"}
    assert config_path(parsed("list"), environ=environ, folder=tmp_path) == Path("/etc/alice.toml")


def test_config_path_is_the_only_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other TOML files, folders and what cannot be read are no configurations."""
    (tmp_path / "alice.toml").write_text("\ufeff" + BOT)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "bot"\n')
    (tmp_path / "large.toml").write_text(BOT + "#" * (1 << 20))
    (tmp_path / "dangling.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    (tmp_path / "folder.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    assert config_path(parsed(), environ={"LOGMONITOR_CONFIG": ""}) == Path("alice.toml")


def test_config_path_takes_one_that_is_broken(tmp_path: Path) -> None:
    """A configuration that is no valid TOML is still the one that is meant, so that its fault is told."""
    (tmp_path / "alice.toml").write_text(BOT + "name = \n")
    (tmp_path / "other.toml").write_text("name = \n")
    assert config_path(parsed(), environ={}, folder=tmp_path) == tmp_path / "alice.toml"


def test_config_path_refuses_to_guess(tmp_path: Path) -> None:
    """None, or several, is an error that tells how to name one."""
    with pytest.raises(ConfigurationError) as none:
        config_path(parsed(), environ={}, folder=tmp_path)
    for name in ("bob.toml", "alice.toml"):
        (tmp_path / name).write_text(BOT)
    with pytest.raises(ConfigurationError) as several:
        config_path(parsed(), environ={}, folder=tmp_path)
    remedy = "expected --config CONFIG.toml, or its path in LOGMONITOR_CONFIG"
    assert str(none.value) == f"no configuration is named, and none lies in {tmp_path}; {remedy}"
    assert str(several.value) == f"no configuration is named, and it could be alice.toml or bob.toml; {remedy}"


def test_config_path_names_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, or a folder, without the right to read it is told as that, and not as if there were none."""
    path = tmp_path / "alice.toml"
    path.write_text(BOT)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    remedy = "expected --config CONFIG.toml, or its path in LOGMONITOR_CONFIG"
    start = f"no configuration is named, and in {tmp_path}"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        with pytest.raises(ConfigurationError) as unreadable:
            config_path(parsed(), environ={}, folder=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        with pytest.raises(ConfigurationError) as closed:
            config_path(parsed(), environ={}, folder=tmp_path)
    assert str(unreadable.value) == f"{start} alice.toml cannot be read: permission denied; {remedy}"
    assert str(closed.value) == f"{start} what lies there cannot be read: permission denied; {remedy}"
    assert config_path(parsed(), environ={}, folder=tmp_path) == path
