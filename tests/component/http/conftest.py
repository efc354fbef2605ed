"""Looking with the probe http."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthd.probes import PROBES
from tests.component.looking import Looker, looking


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["http"]) as looker:
        yield looker
