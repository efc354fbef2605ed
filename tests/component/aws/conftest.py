"""What the AWS tests share: looking through a probe at moto's server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.probes.aws.account import Models
from healthd.probes.base import Resources
from tests.component.looking import Looker
from tests.servers.aws import REGION, MotoServer


class AwsLooker:
    """Looks at moto through the probe of one type."""

    def __init__(self, looker: Looker, url: str) -> None:
        self.looker, self.url = looker, url
        looker.timeout = timedelta(seconds=30)  # of a busy machine's moto

    async def __call__(self, **params: Any) -> Observation:
        """Every look is a checklist run of its own."""
        self.looker.shared = {}
        return await self.looker(**{"endpoint_url": self.url, "region": REGION, **params})


Through = Callable[[str], Any]


@pytest.fixture(scope="session")
def models() -> Models:
    """Megabytes of JSON: read once, not for each test."""
    return Models()


@pytest.fixture
async def aws_resources(models: Models) -> AsyncIterator[Resources]:
    """A test's own clients."""
    resources = Resources()

    async def given() -> Models:
        return models

    await resources.get(Models, given)
    yield resources
    await resources.close()


@pytest.fixture
async def through(moto: MotoServer, aws_resources: Resources) -> Through:
    """`(await through("rds_instance"))(instance="db")` looks through that probe."""

    async def open_(kind: str) -> AwsLooker:
        return AwsLooker(Looker(PROBES[kind], aws_resources), moto.url)

    return open_
