"""The probe kubernetes_nodes against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes.kubernetes.access import Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import node, node_status
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve, status
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver


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


@pytest.mark.probe("kubernetes_nodes")
async def test_a_node_that_never_reported(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(node(f"{namespace}-new", {"pool": namespace}))
    seen = await look("kubernetes_nodes", name=f"{namespace}-*")
    assert (values(seen)["count"], values(seen)["silent"]) == (1, 1)
    assert "version_skew" not in values(seen)


async def test_no_such_nodes(look: Look) -> None:
    seen = await look("kubernetes_nodes", selector="pool=not-there")
    assert (values(seen)["count"], values(seen)["not_ready"]) == (0, 0)
    assert seen.note.startswith("no nodes fit, of ")


async def test_what_kubelets_say(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    disk = {"usedBytes": 60, "capacityBytes": 80, "inodesUsed": 1, "inodes": 4}
    wires = [{"name": "eth0", "rxBytes": 5, "txBytes": 7, "rxErrors": 1, "txErrors": 2}, {"name": "eth1", "rxBytes": 1}]
    said = {"fs": disk, "runtime": {"imageFs": {"usedBytes": 9, "capacityBytes": 10}}, "network": {"interfaces": wires}}
    proxy = "/api/v1/nodes/{}/proxy/stats/summary"
    serve(receiver, {
        "/api/v1/nodes": listed(*(node(name) | {"status": node_status()} for name in ("a", "b", "c"))),
        "/version": {"gitVersion": "v1.31.0"}, proxy.format("a"): {"node": said}, proxy.format("b"): {"node": {}},
        proxy.format("c"): status(502, "dial tcp 10.0.0.3:10250: i/o timeout"),
    })  # fmt: skip
    seen = await look("kubernetes_nodes", summary=True, kubeconfig=kubeconfig_for(receiver.url, tmp_path))
    found = values(seen)
    assert (found["disk_used_ratio{a}"], found["inodes_used_ratio{a}"]) == (0.75, 0.25)
    assert found["images_used_ratio{a}"] == 0.9
    assert (found["network_received{a}"], found["network_sent{a}"], found["network_errors{a}"]) == (6, 7, 3)
    assert (found["unmeasured"], found["version_skew"]) == (1, 11)
    assert "disk_used_ratio{b}" not in found
    assert "10250: i/o timeout" in seen.note


@pytest.mark.probe_failure("kubernetes_nodes")
async def test_kubelets_need_a_permission_of_their_own(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(node(f"{namespace}-n"), node_status())
    viewer = kube.viewer(roles([Rule("list", "nodes")]))
    with pytest.raises(ProbeError, match="forbidden: needs get on nodes/proxy in the whole cluster"):
        await look("kubernetes_nodes", name=f"{namespace}-n", summary=True, kubeconfig=viewer)
