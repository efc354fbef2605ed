"""The probe kubernetes_nodes against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import node, node_status
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer


async def test_healthy_nodes(kube: KubeServer, look: Look, namespace: str) -> None:
    for number in range(3):
        kube.create(node(f"{namespace}-{number}", {"pool": namespace}), node_status())
    seen = await look("kubernetes_nodes", selector=f"pool={namespace}", now=datetime.now(UTC) + timedelta(hours=1))
    found = values(seen)
    assert (found["count"], found["ready"], found["not_ready"], found["ready_ratio"]) == (3, 3, 0, 1)
    assert (found["versions"], found["version_skew"], found["memory_pressure"]) == (1, 0, 0)
    assert found[f"node_ready{{{namespace}-0}}"] == 1
    assert 3595 < float(found["newest_age"]) < 3630
    assert (seen.note, seen.evidence) == ("", ())


async def test_nodes_in_trouble(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(node(f"{namespace}-full", {"pool": namespace}), node_status(DiskPressure="True"))
    kube.create(node(f"{namespace}-down", {"pool": namespace}), node_status(ready="False"))
    kube.create(node(f"{namespace}-silent", {"pool": namespace}), node_status(ready="Unknown", version="v1.18.9"))
    closed = node(f"{namespace}-closed", {"pool": namespace}) | {"spec": {"unschedulable": True}}
    kube.create(closed, node_status())
    seen = await look("kubernetes_nodes", selector=f"pool={namespace}")
    found = values(seen)
    assert (found["count"], found["ready"], found["not_ready"], found["silent"]) == (4, 2, 2, 1)
    assert (found["disk_pressure"], found["cordoned"], found["ready_ratio"]) == (1, 1, 0.5)
    assert (found["versions"], found["version_skew"]) == (2, 2)
    shown = evidence(seen, "nodes")
    assert f"{namespace}-silent: Ready is Unknown, since 4m" in shown
    assert f"{namespace}-full: DiskPressure is True" in shown
    assert f"{namespace}-closed: cordoned" in shown
    assert f"{namespace}-down not ready" in seen.note
    assert f"{namespace}-full DiskPressure" in seen.note


async def test_a_node_that_never_reported(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(node(f"{namespace}-new", {"pool": namespace}))
    seen = await look("kubernetes_nodes", name=f"{namespace}-*")
    assert (values(seen)["count"], values(seen)["silent"]) == (1, 1)
    assert "version_skew" not in values(seen)


async def test_no_such_nodes(look: Look) -> None:
    seen = await look("kubernetes_nodes", selector="pool=not-there")
    assert (values(seen)["count"], values(seen)["not_ready"]) == (0, 0)
    assert seen.note.startswith("no nodes fit, of ")
