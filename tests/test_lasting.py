"""What lasts, opened for one program: what is told of it at the start, and what `status` says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from logmonitor import StoreError
from logmonitor.config import BotConfig, ChatConfig, Config
from logmonitor.configuration.record import SecurityConfig
from logmonitor.lasting import Lasting
from logmonitor.sealing import make_key_file
from logmonitor.store import Store
from logmonitor.testing import START

if TYPE_CHECKING:
    from pathlib import Path


def config(folder: Path, *, store: str = "alice.db", audit: str = "alice.audit.jsonl") -> Config:
    """Make a configuration whose files lie in `folder`."""
    return Config(
        path=folder / "alice.toml",
        bot=BotConfig(name="alice", store=folder / store),
        chat=ChatConfig(transport="console", admins=("You",)),
        security=SecurityConfig(audit=folder / audit, key_file=folder / "alice.key"),
    )


def test_nothing_is_told_where_all_is_well(tmp_path: Path) -> None:
    """A new store and a new audit are no news, and the key opens what it sealed."""
    make_key_file(tmp_path / "alice.key")
    with Lasting(config(tmp_path)) as lasting:
        assert lasting.news(START, str) == ()
        assert lasting.rows(START, str) == ()
        assert lasting.seal is not None
        assert lasting.seal.unseal(lasting.seal.seal(b"secret")) == b"secret"


def test_store_that_was_set_aside_is_told_once(tmp_path: Path) -> None:
    """Whoever set it aside, the next start tells, once; `status` tells until the file is gone."""
    (tmp_path / "alice.db").write_bytes(os.urandom(8192))
    Store(tmp_path / "alice.db").close()  # as the command line may have done
    with Lasting(config(tmp_path)) as lasting:
        (sentence,) = lasting.news(START, str)
        assert sentence.startswith("the store was damaged and has been set aside as alice.db.corrupt-")
    with Lasting(config(tmp_path)) as lasting:
        assert lasting.news(START, str) == ()
        (row,) = lasting.rows(START, str)
        assert row.startswith("store: was damaged, and set aside as alice.db.corrupt-")


def test_store_that_is_gone_is_told_once(tmp_path: Path) -> None:
    """Where a start finds the audit of one before and no store, it tells; neither the first start does nor the next."""
    with Lasting(config(tmp_path)) as lasting:
        assert lasting.news(START, str) == ()
    (tmp_path / "alice.db").unlink()
    with Lasting(config(tmp_path)) as lasting:
        (sentence,) = lasting.news(START, str)
        assert sentence.startswith("the store alice.db was gone and is begun anew: ")
    with Lasting(config(tmp_path)) as lasting:
        assert lasting.news(START, str) == ()


def test_key_that_others_can_read_opens_nothing_and_is_told(tmp_path: Path) -> None:
    """A key file of the wrong mode is not used, and that is said at the start and in `status`."""
    make_key_file(tmp_path / "alice.key")
    (tmp_path / "alice.key").chmod(0o644)
    with Lasting(config(tmp_path)) as lasting:
        assert lasting.seal is None
        for told in (lasting.news(START, str), lasting.rows(START, str)):
            (sentence,) = told
            assert sentence.startswith("no one-time code is accepted: ")
            assert "alice.key" in sentence


def test_store_and_audit_without_a_place_are_told_and_stop_nothing(tmp_path: Path) -> None:
    """Where neither can be made both are said, and whoever asks the store is refused."""
    with Lasting(config(tmp_path, store="gone/alice.db", audit="gone/audit")) as lasting:
        store, audit = lasting.news(START, str)
        assert store.startswith("the store cannot be used, so what changes anything is not run: ")
        assert audit.startswith("the audit cannot be written, so what changes anything is not run: ")
        assert [row.partition(":")[0] for row in lasting.rows(START, str)] == [
            "the store cannot be used, so what changes anything is not run",
            "audit",
        ]
        with pytest.raises(StoreError):
            lasting.store.grants()


def test_store_of_another_program_is_no_store(tmp_path: Path) -> None:
    """What is not ours is left as it is, and nothing starts."""
    (tmp_path / "alice.db").mkdir()
    with pytest.raises(StoreError):
        Lasting(config(tmp_path))


def test_store_that_cannot_be_written_under_way_is_told_once(tmp_path: Path) -> None:
    """What fails for a while is told with its reason, its end too; one that was told of at the start is not again."""
    with Lasting(config(tmp_path)) as lasting:
        told = [lasting.turns("it is full" if second < 30 else "", float(second), str) for second in range(60)]
        failing, working = ((second, text) for second, texts in enumerate(told) for text in texts)
        text = (
            "the store cannot be written, so what happens now is forgotten if logmonitor ends before it can;"
            " the rescue goes on: it is full"
        )
        assert failing == (3, text)
        assert working == (40, "the store can be written again")
    with Lasting(config(tmp_path, store="gone/alice.db")) as lasting:
        assert lasting.store.is_refused
        assert len(lasting.news(START, str)) == 1
        assert {lasting.turns(failure, float(second), str) for second in range(60) for failure in ("no", "")} == {()}
