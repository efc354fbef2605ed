"""Cost grows with clusters and namespaces, not with checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.probes import PROBES
from tests.component.kubernetes.objects import pod, running
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve, status
from tests.component.looking import Looker, looking, values
from tests.servers.receiver import Receiver

PODS = "/api/v1/namespaces/shop/pods"


@pytest.fixture
async def pods() -> AsyncIterator[Looker]:
    async with looking(PROBES["kubernetes_pods"]) as looker:
        yield looker


@pytest.fixture
def shop(receiver: Receiver, tmp_path: Path) -> dict[str, Any]:
    made = [pod(f"web-{n}", "shop", {"app": f"app-{n % 3}"}) | {"status": running()} for n in range(9)]
    serve(receiver, {PODS: listed(*made)})
    return {"kubeconfig": kubeconfig_for(receiver.url, tmp_path), "namespace": "shop"}


async def test_checks_of_one_run_share_a_list(pods: Looker, shop: dict[str, Any], receiver: Receiver) -> None:
    asked = [{"selector": f"app=app-{n % 3}"} if n % 2 else {"name": f"web-{n % 9}"} for n in range(60)]
    seen = await asyncio.gather(*(pods(**shop, **which) for which in asked))
    assert [values(s)["count"] for s in seen] == [3 if n % 2 else 1 for n in range(60)]
    assert len(receiver.requests) == 1


async def test_checks_with_times_of_their_own_share_it_for_a_moment(
    pods: Looker, shop: dict[str, Any], receiver: Receiver
) -> None:
    for number in range(10):
        pods.shared.clear()
        await pods(**shop, selector=f"app=app-{number % 3}")
    assert len(receiver.requests) == 1


async def test_probes_that_keep_something_else_of_the_same_objects_do_not_share(
    pods: Looker, shop: dict[str, Any]
) -> None:
    async with looking(PROBES["kubernetes_resource"]) as resources:
        resources.resources, resources.shared = pods.resources, pods.shared
        asked = {**shop, "api_version": "v1", "resource": "pods", "values": {"phase": "status.phase"}}
        for _ in range(2):  # whoever comes first
            assert values(await resources(**asked, name="web-1"))["phase{web-1}"] == "Running"
            assert values(await pods(**shop))["count"] == 9


async def test_a_failure_is_not_kept(pods: Looker, shop: dict[str, Any], receiver: Receiver) -> None:
    serve(receiver, {PODS: status(503, "starting")})
    with pytest.raises(Exception, match="starting"):
        await pods(**shop)
    serve(receiver, {PODS: listed(pod("web", "shop"))})
    pods.shared.clear()
    assert values(await pods(**shop))["count"] == 1


async def test_a_look_that_is_cancelled_leaves_the_others_their_answer(
    pods: Looker, shop: dict[str, Any], receiver: Receiver
) -> None:
    await pods(**shop)
    serve(receiver, {"/api/v1/namespaces/slow/pods": "hang"})
    pods.timeout = timedelta(seconds=0.5)
    first, second = (asyncio.create_task(pods(**{**shop, "namespace": "slow"})) for _ in range(2))
    await receiver.expect(1, path="/api/v1/namespaces/slow/pods")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(Exception, match="no answer within 500ms"):
        await second
