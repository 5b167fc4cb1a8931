"""What an operation keeps, in memory."""

from __future__ import annotations


class MemoryKeyValue:
    """A `KeyValue` that lasts as long as the test."""

    def __init__(self, **values: str) -> None:
        """Keep these texts."""
        self._values = dict(values)

    def get(self, key: str, /) -> str | None:
        """Return the text kept under `key`, None if there is none."""
        return self._values.get(key)

    def put(self, key: str, value: str, /) -> None:
        """Keep `value` under `key`, in place of what was there."""
        self._values[key] = value

    def delete(self, key: str, /) -> None:
        """Forget what is kept under `key`, if anything is."""
        self._values.pop(key, None)

    def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        return tuple(sorted(self._values))
