"""Probes to look with, and a server to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from healthd.probes.base import Probe, Resources
from healthd.probes.redis import RedisInfoProbe, RedisLengthProbe, RedisMemoryProbe, RedisProbe
from tests.component.looking import FreshLooker, Looker, looking
from tests.servers.redis import RedisServer


@pytest.fixture
async def ping() -> AsyncIterator[Looker]:
    async with looking(RedisProbe()) as looker:
        yield looker


@pytest.fixture
async def length() -> AsyncIterator[Looker]:
    async with looking(RedisLengthProbe()) as looker:
        yield looker


@pytest.fixture
async def info() -> AsyncIterator[Looker]:
    async with looking(RedisInfoProbe()) as looker:
        yield looker


@pytest.fixture
async def memory() -> AsyncIterator[Looker]:
    async with looking(RedisMemoryProbe()) as looker:
        yield looker


@pytest.fixture
async def looker() -> AsyncIterator[Callable[[Probe], Looker]]:
    """Makes a Looker of any probe; each of its looks is a run of its own."""
    resources = Resources()
    yield lambda probe: FreshLooker(probe, resources)
    await resources.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to stop, pause and fill up."""
    with RedisServer(tmp_path / "redis", password="open-sesame") as server:
        yield server
