"""The profiles that there are: those that come with the package, and a user's own in folders beside them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from logmonitor.errors import ProfileError
from logmonitor.profile import AUTO, parse_profile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from logmonitor.profile import Profile


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """Read the shipped profiles and those in `folders`, by name and in its order; the last of a name wins.

    A folder that does not exist holds none.

    Raises:
        ProfileError: a folder or a file cannot be read, or is not valid.
    """
    found = _entries(folders)
    return {name: _load(found[name], name) for name in sorted(found)}


def load_profile(name: str, *folders: Path) -> Profile:
    """Read the one profile of that name, from the last of `folders` that has it or as it is shipped.

    Raises:
        ProfileError: there is none, or it cannot be read or is not valid.
    """
    found = _entries(folders)
    if name not in found:
        from logmonitor.configuration.document import expected  # noqa: PLC0415  # its look-alikes take 25 ms to import

        raise ProfileError(f"unknown profile {name!r}; {expected(name, found, other=AUTO)}")
    return _load(found[name], name)


def _entries(folders: Iterable[Path]) -> dict[str, Traversable]:
    """Return the profiles' files by name."""
    found: dict[str, Traversable] = {}
    for folder in (files("logmonitor") / "profiles", *folders):
        try:
            entries = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")] if folder.is_dir() else []
        except OSError as error:
            raise ProfileError(f"cannot read the folder {str(folder)!r}: {error.strerror}") from None
        found |= {entry.name.removesuffix(".toml"): entry for entry in entries}
    return found


def _load(entry: Traversable, name: str) -> Profile:
    try:
        text = entry.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"cannot read the profile {str(entry)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProfileError(f"{entry}: not UTF-8; expected a TOML file") from None
    return parse_profile(text, name=name, source=str(entry))
