"""The probe kubernetes_pvcs: real claims; the kubelet's summary, which the API server does not fetch from loopback,
is scripted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import Manifest, node, node_status, pod, running
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve, status
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver


def claim(name: str, namespace: str, size: str = "10Gi") -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name.partition("-")[0]}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def bound(size: str = "10Gi") -> Manifest:
    return {"phase": "Bound", "capacity": {"storage": size}}


def mounting(name: str, claim_name: str, node_name: str) -> Manifest:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}
    return pod(name, "shop", nodeName=node_name, volumes=[volume]) | {"status": running()}


def filled(claim_name: str, used: float, inodes: float = 0.0) -> Manifest:
    volume = {"name": "data", "pvcRef": {"name": claim_name, "namespace": "shop"}, "capacityBytes": 10**10}
    volume |= {"usedBytes": used * 10**10, "inodes": 1000, "inodesUsed": inodes * 1000}
    return {"podRef": {"name": "x", "namespace": "shop"}, "volume": [volume, {"name": "token", "capacityBytes": 1}]}


@pytest.mark.probe("kubernetes_pvcs")
async def test_claims(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(claim("db-0", namespace, "8Gi"), bound("10Gi"))
    kube.create(claim("db-1", namespace), {"phase": "Pending"})
    kube.create(claim("db-2", namespace), {"phase": "Lost"})
    seen = await look("kubernetes_pvcs", namespace=namespace, now=datetime.now(UTC) + timedelta(minutes=8))
    found = values(seen)
    assert (found["count"], found["bound"], found["pending"], found["lost"]) == (3, 1, 1, 1)
    assert (found["size{db-0}"], found["size{db-1}"]) == (10 * 2**30, 10 * 2**30)
    assert 475 < float(found["oldest_pending_age"]) < 500
    assert seen.note == "db-1 Pending, db-2 Lost"
    assert "db-1: Pending, 10.74GB, fast, asked for 8m" in evidence(seen, "volumes")
    assert "used_ratio{db-0}" not in found
    assert values(await look("kubernetes_pvcs", namespace=namespace, name="db-[12]"))["count"] == 2
    nothing = await look("kubernetes_pvcs", namespace=namespace, selector="app=web")
    assert (values(nothing)["count"], values(nothing)["lost"]) == (0, 0)


async def test_how_full_they_are(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    claims = [claim(name, "shop") | {"status": bound()} for name in ("db-0", "db-1", "spare")]
    pods = [mounting("db-0", "db-0", "a"), mounting("db-1", "db-1", "b"), mounting("web", "else", "c")]
    serve(receiver, {
        "/api/v1/namespaces/shop/persistentvolumeclaims": listed(*claims),
        "/api/v1/namespaces/shop/pods": listed(*pods),
        "/api/v1/nodes/a/proxy/stats/summary": {"node": {}, "pods": [filled("db-0", 0.93, 0.25), {"volume": None}]},
        "/api/v1/nodes/b/proxy/stats/summary": status(503, "error trying to reach service"),
    })  # fmt: skip
    kubeconfig = kubeconfig_for(receiver.url, tmp_path)
    seen = await look("kubernetes_pvcs", namespace="shop", usage=True, kubeconfig=kubeconfig)
    found = values(seen)
    assert (found["used_ratio{db-0}"], found["used_bytes{db-0}"], found["inodes_used_ratio{db-0}"]) == (
        0.93,
        9.3e9,
        0.25,
    )
    assert found["unmeasured"] == 2
    assert "error trying to reach service" in seen.note
    assert "db-0: Bound, 10.74GB, fast, 93% used" in evidence(seen, "volumes")
    assert {r.path.split("?")[0] for r in receiver.requests if "proxy" in r.path} == {
        f"/api/v1/nodes/{name}/proxy/stats/summary" for name in "ab"
    }
    serve(receiver, {
        "/api/v1/namespaces/shop/persistentvolumeclaims": listed(*claims),
        "/api/v1/namespaces/shop/pods": listed(*pods[:1]),
        "/api/v1/nodes/a/proxy/stats/summary": (200, {}, "<html>"),
    })  # fmt: skip
    seen = await look("kubernetes_pvcs", namespace="shop", usage=True, kubeconfig=kubeconfig)
    assert "did not answer with a kubelet's summary" in seen.note


@pytest.mark.probe_failure("kubernetes_pvcs")
async def test_permissions(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(claim("db", namespace), bound())
    kube.create(node(f"{namespace}-n"), node_status())
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "db"}}
    kube.create(pod("db", namespace, nodeName=f"{namespace}-n", volumes=[volume]), running())
    probe: Any = PROBES["kubernetes_pvcs"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace))))
    assert values(await look("kubernetes_pvcs", namespace=namespace, kubeconfig=viewer))["bound"] == 1
    half = [Rule("list", what, "", namespace) for what in ("pods", "persistentvolumeclaims")]
    with pytest.raises(ProbeError, match="forbidden: needs get on nodes/proxy in the whole cluster"):
        await look("kubernetes_pvcs", namespace=namespace, usage=True, kubeconfig=kube.viewer(roles(half)))
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace, usage=True))))
    allowed = await look("kubernetes_pvcs", namespace=namespace, usage=True, kubeconfig=viewer)
    assert values(allowed)["unmeasured"] == 1  # there is no kubelet to ask
