"""Looking with the probe command, and seeing what it leaves behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from healthd.probes.base import ProbeLimits
from tests.component.command.programs import PROBE, Leftovers, children
from tests.component.looking import Looker, looking


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    """May run sh and python."""
    async with looking(PROBE) as looker:
        looker.limits = ProbeLimits(allowed_commands=("sh", sys.executable))
        yield looker


@pytest.fixture
def leftovers() -> Leftovers:
    """The children that were not there before the test and do not soon end."""
    before = children()

    async def wait() -> set[int]:
        for _ in range(200):
            if children() <= before:
                break
            await asyncio.sleep(0.01)
        return children() - before

    return wait
