"""The probe kubernetes_usage: real nodes and pods; metrics-server, which is not there, is scripted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import node, node_status, pod, running, stamp
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve, status
from tests.component.looking import evidence, values
from tests.servers.receiver import Receiver

METRICS = "/apis/metrics.k8s.io/v1beta1"
Serve = Callable[..., str]


def node_usage(name: str, cpu: str, memory: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name}, "timestamp": stamp(timedelta(seconds=20)), "window": "30s",
        "usage": {"cpu": cpu, "memory": memory},
    }  # fmt: skip


def pod_usage(name: str, **containers: tuple[str, str]) -> dict[str, Any]:
    used = [{"name": n, "usage": {"cpu": cpu, "memory": memory}} for n, (cpu, memory) in containers.items()]
    return {"metadata": {"name": name, "namespace": "shop"}, "timestamp": stamp(), "window": "15s", "containers": used}


@pytest.fixture
def cluster(receiver: Receiver, tmp_path: Path) -> str:
    """Two nodes and three pods, one of which has two containers and one no samples yet."""
    nodes = [node(name, {"pool": name}) | {"status": node_status()} for name in ("a", "b")]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    web = pod("web", "shop", {"app": "web"}, resources=resources)
    side = {"name": "side", "image": "x", "resources": {"limits": {"memory": "64Mi"}}}
    two = pod("two", "shop", resources=resources)
    two["spec"]["containers"].append(side)
    state = running()
    both = [*state["containerStatuses"], {**state["containerStatuses"][0], "name": "side"}]
    pods = [
        web | {"status": state}, two | {"status": {**state, "containerStatuses": both}},
        pod("new", "shop") | {"status": state}, pod("done", "shop") | {"status": {"phase": "Succeeded"}},
    ]  # fmt: skip
    used = [pod_usage("web", app=("50m", "192Mi")), pod_usage("two", app=("200m", "64Mi"), side=("10m", "16Mi"))]
    serve(receiver, {
        "/api/v1/nodes": listed(*nodes), f"{METRICS}/nodes": listed(node_usage("a", "1900m", "6Gi")),
        "/api/v1/namespaces/shop/pods": listed(*pods), f"{METRICS}/namespaces/shop/pods": listed(*used),
    })  # fmt: skip
    return kubeconfig_for(receiver.url, tmp_path)


async def test_why_there_is_no_share_of_a_limit(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    free = pod("free", "shop") | {"status": running()}
    serve(receiver, {
        "/api/v1/namespaces/shop/pods": listed(free),
        f"{METRICS}/namespaces/shop/pods": listed(pod_usage("free", app=("1m", "1Mi"))),
    })  # fmt: skip
    seen = await look(
        "kubernetes_usage", of="pods", namespace="shop", kubeconfig=kubeconfig_for(receiver.url, tmp_path)
    )
    assert "memory_limit_ratio{free}" not in values(seen)
    assert seen.note == "none of the pods has a limit of memory"


async def test_nodes(look: Look, cluster: str) -> None:
    seen = await look("kubernetes_usage", of="nodes", kubeconfig=cluster)
    found = values(seen)
    assert (found["count"], found["unmeasured"], found["cpu{a}"], found["memory{a}"]) == (1, 1, 1.9, 6 * 2**30)
    assert (found["cpu_ratio{a}"], found["memory_ratio{a}"]) == (0.5, 0.75)
    assert (found["cpu_capacity_ratio{a}"], found["memory_capacity_ratio{a}"]) == (0.475, 0.375)
    assert (found["total_cpu_ratio"], found["total_memory_ratio"], found["total_cpu"]) == (0.5, 0.75, 1.9)
    assert 18 < float(found["sample_age"]) < 30
    assert evidence(seen, "most memory").startswith("a: 1.9 cores, 6.442GB, cpu_ratio 50%, memory_ratio 75%")
    assert values(await look("kubernetes_usage", of="nodes", selector="pool=b", kubeconfig=cluster))["count"] == 0


async def test_pods(look: Look, cluster: str) -> None:
    seen = await look("kubernetes_usage", of="pods", namespace="shop", kubeconfig=cluster)
    found = values(seen)
    assert (found["count"], found["unmeasured"], found["without_memory_limit"]) == (2, 1, 0)
    assert (found["memory_limit_ratio{web}"], found["memory_request_ratio{web}"]) == (0.75, 1.5)
    assert (found["cpu_request_ratio{web}"], found["memory_limit_ratio{two}"]) == (0.5, 0.25)
    assert "cpu_limit_ratio{web}" not in found
    assert "memory_request_ratio{two}" not in found  # not every container has one
    assert found["total_memory"] == (192 + 80) * 2**20
    assert evidence(seen, "most memory").startswith("web: 0.05 cores, 201.3MB")


@pytest.mark.probe("kubernetes_usage")
async def test_containers(look: Look, cluster: str) -> None:
    asked = {"of": "containers", "namespace": "shop", "kubeconfig": cluster}
    found = values(await look("kubernetes_usage", **asked))
    assert (found["count"], found["unmeasured"], found["memory_limit_ratio{two/side}"]) == (3, 1, 0.25)
    found = values(await look("kubernetes_usage", **asked, container="side"))
    assert (found["count"], found["unmeasured"]) == (1, 0)
    seen = await look("kubernetes_usage", **asked, top=1)
    assert [k for k in values(seen) if k.startswith("memory{")] == ["memory{web/app}"]
    assert seen.note == "series of the 1 that use most memory, of 3"


async def test_no_metrics_server(look: Look, namespace: str) -> None:
    for asked in ({"of": "nodes"}, {"of": "pods", "namespace": namespace}):
        with pytest.raises(ProbeError, match="metrics-server is not installed, or not available") as caught:
            await look("kubernetes_usage", **asked)
        assert caught.value.kind == "missing"


@pytest.mark.probe_failure("kubernetes_usage")
async def test_a_metrics_server_that_is_away(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    away = status(503, "the server is currently unable to handle the request", "ServiceUnavailable")
    serve(receiver, {"/api/v1/nodes": listed(), f"{METRICS}/nodes": away})
    with pytest.raises(ProbeError, match=r"metrics-server is not .* \(503\)") as caught:
        await look("kubernetes_usage", of="nodes", kubeconfig=kubeconfig_for(receiver.url, tmp_path))
    assert caught.value.kind == "unavailable"


def test_permissions() -> None:
    probe: Any = PROBES["kubernetes_usage"]
    needs = [str(rule) for rule in probe.rules(probe.Params(of="pods", namespace="shop"))]
    assert needs == ["list on pods in namespace shop", "list on pods.metrics.k8s.io in namespace shop"]
    needs = [str(rule) for rule in probe.rules(probe.Params(of="nodes"))]
    assert needs == ["list on nodes in the whole cluster", "list on nodes.metrics.k8s.io in the whole cluster"]


async def test_parameters_of_pods_do_not_fit_nodes(look: Look) -> None:
    with pytest.raises(ValueError, match="nodes have no namespace"):
        await look("kubernetes_usage", of="nodes", namespace="shop")
