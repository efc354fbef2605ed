"""Looking with the probe files."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthd.probes import PROBES
from tests.component.files.folders import NOW
from tests.component.looking import Looker, looking


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["files"]) as looker:
        looker.now = NOW
        yield looker
