"""What stands in for a file that cannot be opened: it keeps nothing, finds nothing and permits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from logmonitor.errors import StoreError
    from logmonitor.storage.row import Value


class Refusal:
    """What `Database` can do, refused each time."""

    def __init__(self, error: StoreError, /) -> None:
        """Refuse with what `error` says."""
        self._kind = type(error)
        self._text = f"{error} (logmonitor was started without it: start it again then)"
        self.set_aside = None
        self.is_settled = True

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def settle(self) -> None:
        """Do nothing: nothing is written."""

    def transaction(self) -> Never:
        """Refuse to begin."""
        self._refuse()

    def quick_transaction(self) -> Never:
        """Refuse to begin."""
        self._refuse()

    def rows(self, _statement: str, /, *_values: Value) -> Never:
        """Refuse to look."""
        self._refuse()

    def version(self) -> Never:
        """Refuse to look."""
        self._refuse()

    def change(self, _statement: str, /, *_values: Value) -> Never:
        """Refuse to change."""
        self._refuse()

    def touch(self) -> Never:
        """Refuse to write."""
        self._refuse()

    def insert(self, _statement: str, /, *_values: Value) -> Never:
        """Refuse to insert."""
        self._refuse()

    def _refuse(self) -> Never:
        raise self._kind(self._text)  # a new one each time: one raised again and again would grow
