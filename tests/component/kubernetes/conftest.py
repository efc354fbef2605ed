"""Looking at the worker's API server, each look with clients of its own: nothing is remembered from the one before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from tests.component.looking import looking
from tests.servers.kubernetes import KubeServer

Look = Callable[..., Awaitable[Observation]]


@pytest.fixture
def look(kube: KubeServer) -> Look:
    """`await look("kubernetes_pods", namespace=...)`: as the administrator, unless a kubeconfig is given."""

    async def ask(kind: str, /, *, now: datetime | None = None, **params: Any) -> Observation:
        async with looking(PROBES[kind]) as looker:
            looker.now = now
            return await looker(**{"kubeconfig": kube.kubeconfig(), **params})

    return ask


@pytest.fixture
def namespace(kube: KubeServer) -> str:
    """A namespace of the test's own."""
    return kube.namespace()
