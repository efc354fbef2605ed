"""What the AWS tests share: looking through a probe at moto's server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from tests.component.looking import Looker, looking
from tests.servers.aws import REGION, MotoServer


class AwsLooker:
    """Looks at moto through the probe of one type."""

    def __init__(self, looker: Looker, url: str) -> None:
        self.looker, self.url = looker, url

    async def __call__(self, **params: Any) -> Observation:
        """Every look is a checklist run of its own."""
        self.looker.shared = {}
        return await self.looker(**{"endpoint_url": self.url, "region": REGION, **params})


Through = Callable[[str], Any]


@pytest.fixture
async def through(moto: MotoServer) -> AsyncIterator[Through]:
    """`(await through("rds_instance"))(instance="db")` looks through that probe."""
    async with AsyncExitStack() as stack:

        async def open_(kind: str) -> AwsLooker:
            return AwsLooker(await stack.enter_async_context(looking(PROBES[kind])), moto.url)

        yield open_
