"""The sandbox's Kubernetes cluster, asked by the probes: what they are to see is what was made so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.probes import PROBES
from healthd.sandbox.parts.kubernetes import Autoscaler, Certificate, Claim, Cluster, CronJob, Namespace, Pod, Workload
from tests.component.looking import evidence, looking

DAY = timedelta(days=1)


class Shop:
    """A cluster with one of everything."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder)
        self.nodes = [self.cluster.node(f"node-{n}") for n in range(3)]
        self.namespace: Namespace = self.cluster.namespace("shop")
        self.claim: Claim = self.namespace.claim("data", "10Gi")
        self.web: Workload = self.namespace.deployment("web", replicas=3)
        self.base: Workload = self.namespace.stateful_set("base", claims=["data"])
        self.scaler: Autoscaler = self.namespace.autoscaler(self.web, least=3, most=10)
        self.tidy: CronJob = self.namespace.cron_job("tidy", "0 3 * * *")
        self.certificate: Certificate = self.namespace.certificate("shop", "shop.example")

    async def look(self, kind: str, **params: Any) -> Observation:
        where = {} if kind == "kubernetes_nodes" or params.get("of") == "nodes" else {"namespace": "shop"}
        async with looking(PROBES[kind]) as looker:
            return await looker(**{"kubeconfig": str(self.cluster.kubeconfig), **where, **params})

    async def get(self, path: str, **query: Any) -> httpx.Response:
        token = next(iter(self.cluster.users.tokens))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
            return await client.get(f"{self.cluster.url}{path}", params=query or None)


def worst(observation: Observation) -> dict[str, float]:
    """The largest value of each measure, rounded."""
    found: dict[str, float] = {}
    for measurement in observation.measurements:
        found[measurement.name] = max(round(float(measurement.value), 2), found.get(measurement.name, -1e9))
    return found


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path)
    await shop.cluster.start()
    yield shop
    await shop.cluster.stop()


WELL: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "kubernetes_nodes": ({}, {"count": 3, "ready": 3, "not_ready": 0}),
    "kubernetes_pods": ({}, {"count": 4, "not_ready": 0, "restarts": 0, "oom_killed": 0}),
    "kubernetes_deployments": ({"name": "web"}, {"desired": 3, "available": 3, "stalled": 0}),
    "kubernetes_hpa": ({}, {"min": 3, "max": 10, "current": 3, "at_max": 0, "unable_to_scale": 0}),
    "kubernetes_cronjobs": ({"name": "tidy"}, {"last_run_failed": 0, "suspended": 0}),
    "kubernetes_jobs": ({}, {"failed": 0, "succeeded": 1}),
    "kubernetes_pvcs": ({"usage": True}, {"bound": 1, "used_ratio": 0.3}),
    "kubernetes_certificates": ({}, {"ready": 1, "expired": 0}),
    "kubernetes_usage": ({"of": "pods", "owner": "web"}, {"count": 3, "cpu_limit_ratio": 0.3}),
    "kubernetes_events": ({}, {"count": 0}),
    "kubernetes_logs": ({"pattern": "ERROR"}, {"matches": 0, "pods": 4}),
}


@pytest.mark.parametrize("kind", WELL)
async def test_all_is_well_at_first(shop: Shop, kind: str) -> None:
    params, expected = WELL[kind]
    seen = worst(await shop.look(kind, **params))
    assert {name: seen[name] for name in expected} == expected


Break = Callable[[Shop], object]
BROKEN: list[tuple[Break, str, dict[str, Any], dict[str, float]]] = [
    (lambda s: s.web.pod.crash_loop(), "kubernetes_pods", {}, {"not_ready": 1, "crash_loop_back_off": 1}),
    (lambda s: s.web.pod.kill_for_memory(), "kubernetes_pods", {"since": "1h"}, {"oom_killed": 1, "not_ready": 0}),
    (lambda s: s.web.pod.pend(), "kubernetes_pods", {}, {"pending": 1, "not_ready": 1}),
    (lambda s: s.web.pod.lack_image(), "kubernetes_pods", {}, {"image_pull_errors": 1}),
    (lambda s: s.web.each(Pod.fail_readiness), "kubernetes_deployments", {"name": "web"}, {"available": 0}),
    (lambda s: s.web.stall(), "kubernetes_deployments", {"name": "web"}, {"stalled": 1}),
    (lambda s: s.scaler.go_to_maximum(), "kubernetes_hpa", {}, {"at_max": 1, "limited": 1, "current": 10}),
    (lambda s: s.scaler.lose_metrics(), "kubernetes_hpa", {}, {"unable_to_scale": 1}),
    (lambda s: s.tidy.fail(), "kubernetes_cronjobs", {"name": "tidy"}, {"last_run_failed": 1}),
    (lambda s: s.tidy.suspend(), "kubernetes_cronjobs", {"name": "tidy"}, {"suspended": 1}),
    (lambda s: s.claim.lose(), "kubernetes_pvcs", {}, {"lost": 1}),
    (lambda s: s.certificate.expire_in(5 * DAY), "kubernetes_certificates", {}, {"days_left": 5, "ready": 1}),
    (lambda s: s.certificate.expire_in(-DAY), "kubernetes_certificates", {}, {"expired": 1}),
    (lambda s: s.certificate.fail(), "kubernetes_certificates", {}, {"not_ready": 1}),
    (lambda s: s.nodes[0].go_silent(), "kubernetes_nodes", {}, {"not_ready": 1}),
    (lambda s: s.nodes[0].press(), "kubernetes_nodes", {}, {"memory_pressure": 1}),
    (lambda s: s.nodes[0].cordon(), "kubernetes_nodes", {}, {"cordoned": 1}),
    (lambda s: s.nodes[0].use(cpu=0.9), "kubernetes_usage", {"of": "nodes", "top": 1}, {"cpu_ratio": 0.9}),
    (lambda s: s.web.use(memory=0.9), "kubernetes_usage", {"of": "pods", "owner": "web"}, {"memory_limit_ratio": 0.9}),
]


@pytest.mark.parametrize(("act", "kind", "params", "expected"), BROKEN)
async def test_what_is_broken_is_seen(
    shop: Shop, act: Break, kind: str, params: dict[str, Any], expected: dict[str, float]
) -> None:
    act(shop)
    seen = worst(await shop.look(kind, **params))
    assert {name: seen[name] for name in expected} == expected


async def test_what_is_mended_is_well(shop: Shop) -> None:
    shop.scaler.go_to_maximum()
    shop.web.each(Pod.crash_loop)
    shop.tidy.stop_since(9 * DAY)
    for broken in (shop.scaler, shop.web, shop.tidy):
        broken.recover()
    assert worst(await shop.look("kubernetes_pods"))["not_ready"] == 0
    assert worst(await shop.look("kubernetes_hpa"))["current"] == 3
    assert worst(await shop.look("kubernetes_cronjobs", name="tidy"))["last_success_age"] < 86400


async def test_logs_tell_what_was_written_and_what_is_written_again_and_again(shop: Shop) -> None:
    shop.web.repeat("GET /health 200", timedelta(minutes=1))
    shop.web.write("ERROR no space", "ERROR again")
    shop.web.write("ERROR long ago", age=2 * DAY)
    seen = await shop.look("kubernetes_logs", owner="web", pattern="ERROR", since="1h")
    assert worst(seen)["matches"] == 2
    assert 180 <= worst(seen)["lines"] <= 185
    assert "ERROR again" in evidence(seen, "lines")
    shop.web.clear_logs()
    assert worst(await shop.look("kubernetes_logs", owner="web", pattern="ERROR", since="1h"))["lines"] == 0


async def test_part_of_a_log(shop: Shop) -> None:
    shop.web.write("one", "two", "three")
    path = f"/api/v1/namespaces/shop/pods/{shop.web.pod.name}/log"
    assert (await shop.get(path, tailLines=2)).text == "two\nthree\n"
    assert (await shop.get(path, limitBytes=5)).text == "one\nt"
    assert (await shop.get(path, timestamps="true", tailLines=1)).text.endswith("Z three\n")
    assert (await shop.get(path, container="other")).json()[
        "message"
    ] == f"container other is not valid for pod {shop.web.pod.name}"


async def test_lists_come_in_pages_that_belong_together(shop: Shop) -> None:
    first = (await shop.get("/api/v1/pods", limit=3)).json()
    assert (first["kind"], first["apiVersion"], first["metadata"]["remainingItemCount"]) == ("PodList", "v1", 1)
    shop.web.scale(5)
    rest = (await shop.get("/api/v1/pods", limit=3, **{"continue": first["metadata"]["continue"]})).json()
    assert (len(rest["items"]), "continue" in rest["metadata"]) == (1, False)
    old = await shop.get("/api/v1/pods", **{"continue": first["metadata"]["continue"]})
    assert (old.status_code, old.json()["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"labelSelector": "app=web"}, 3),
        ({"labelSelector": "app!=web"}, 1),
        ({"labelSelector": "app in (web, base),app"}, 4),
        ({"labelSelector": "!app"}, 0),
        ({"fieldSelector": "status.phase=Running,metadata.namespace=shop"}, 4),
        ({"fieldSelector": "metadata.name!=base-0"}, 3),
    ],
)
async def test_lists_are_narrowed(shop: Shop, query: dict[str, str], count: int) -> None:
    assert len((await shop.get("/api/v1/pods", **query)).json()["items"]) == count


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/api/v1/pods?fieldSelector=spec.colour%3Dred", 400, "spec.colour"),
        ("/api/v1/namespaces/shop/pods/none", 404, 'pods "none" not found'),
        ("/apis/apps/v1/namespaces/shop/deployments/none", 404, 'deployments.apps "none" not found'),
        ("/apis/nowhere.example/v1/things", 404, "404 page not found"),
        ("/api/v1/namespaces/shop/nodes", 404, "404 page not found"),
    ],
)
async def test_refuses_as_the_real_one_does(shop: Shop, path: str, code: int, said: str) -> None:
    answer = await shop.get(path)
    assert (answer.status_code, said in answer.text.replace("\\", "")) == (code, True)


async def test_who_may_not_is_told(shop: Shop) -> None:
    shop.cluster.forbid("pods")
    with pytest.raises(ProbeError, match="needs list on pods") as forbidden:
        await shop.look("kubernetes_pods")
    assert forbidden.value.kind == "forbidden"
    shop.cluster.allow("pods")
    shop.cluster.revoke()
    with pytest.raises(ProbeError) as unknown:
        await shop.look("kubernetes_pods")
    assert unknown.value.kind == "auth"
    shop.cluster.restore()
    assert worst(await shop.look("kubernetes_pods"))["count"] == 4


async def test_any_other_resource(shop: Shop) -> None:
    shop.cluster.define("shop.example/v1", "tills", "Till")
    till = shop.namespace.resource("shop.example/v1", "Till", "till-1", status={"cash": 40})
    params = {"api_version": "shop.example/v1", "resource": "tills", "values": {"cash": {"path": "$.status.cash"}}}
    assert worst(await shop.look("kubernetes_resource", **params))["cash"] == 40
    till["status"]["cash"] = 12
    assert worst(await shop.look("kubernetes_resource", **params))["cash"] == 12
    groups = {group["name"] for group in (await shop.get("/apis")).json()["groups"]}
    assert {"apps", "batch", "shop.example", "metrics.k8s.io", "cert-manager.io"} <= groups
    assert {r["name"] for r in (await shop.get("/apis/shop.example/v1")).json()["resources"]} == {"tills"}
