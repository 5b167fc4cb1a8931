"""What every test can ask for by name."""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.gateway.certificate import Certificate, make_certificate
from tests.gateway.driver import LACK, Gateway
from tests.hosting.own_systemd import Systemd, systemd_lack
from tests.hosting.strangers import Strangers
from tests.totp_bench import Bench
from tests.totp_desk import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator


settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # how long an example takes says more of the machine than of the law


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what collecting the tests makes from the garbage collector, which would go through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Return a real Wechaty gateway, plain, whose account is bob; skip where none can be started."""
    if LACK is not None:
        pytest.skip(LACK)
    async with Gateway() as gateway:
        yield gateway


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Return a certificate for gateway.test and its own authority's."""
    return make_certificate(tmp_path)


@pytest.fixture
def strange_folder() -> Iterator[Path]:
    """Return a folder that every user may reach."""
    with TemporaryDirectory(prefix="test-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    """Give real processes that are nobody's children here, and end them all."""
    strangers = Strangers()
    yield strangers
    strangers.end()


@pytest.fixture
def own_systemd(strangers: Strangers) -> Iterator[Systemd]:
    """Give a systemd that is not started yet, and end everything of it."""
    lack = systemd_lack()
    if lack is not None:
        pytest.skip(lack)
    own = Systemd(strangers)
    yield own
    own.end()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Return a store in memory with an admin enrolled, and a clock set by hand."""
    bench = Bench()
    yield bench
    bench.store.close()


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Give a desk with nobody enrolled."""
    desk = Desk(tmp_path, capsys, monkeypatch)
    yield desk
    desk.leave()
