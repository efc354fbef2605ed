"""Looking with the machine's own probes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthd.probes import PROBES
from tests.component.looking import Looker, looking


@pytest.fixture
async def look(request: pytest.FixtureRequest) -> AsyncIterator[Looker]:
    """The probe named like the test: test_disk_... looks with `disk`."""
    async with looking(PROBES[request.node.name.split("_")[1]]) as looker:
        yield looker
