"""The probes kubernetes_certificates and kubernetes_resource: custom resources on a real API server."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import Manifest, stamp
from tests.component.kubernetes.scripted import kubeconfig_for, serve
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver

DAY = timedelta(days=1)
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "certificates.cert-manager.io"},
    "spec": {
        "group": "cert-manager.io", "scope": "Namespaced",
        "names": {"plural": "certificates", "singular": "certificate", "kind": "Certificate"},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def cert_manager(kube: KubeServer) -> KubeServer:
    """The API server with cert-manager's kind of object, but no cert-manager."""
    kube.create(DEFINITION)
    for _ in range(300):
        if not kube.client.get("/apis/cert-manager.io/v1/certificates").is_error:
            return kube
        time.sleep(0.02)
    raise AssertionError("the custom resource is not served")


def certificate(name: str, namespace: str, **spec: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata, "spec": spec}


def issued(left: timedelta, *, ready: str = "True", why: str = "Ready") -> Manifest:
    condition = {"type": "Ready", "status": ready, "reason": why, "message": f"about {why}"}
    return {"conditions": [condition], "notAfter": stamp(-left), "renewalTime": stamp(20 * DAY - left), "revision": 3}


async def test_kinds_the_cluster_does_not_serve(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    serve(receiver, {})
    kubeconfig = kubeconfig_for(receiver.url, tmp_path)
    with pytest.raises(ProbeError, match="cert-manager is not installed") as caught:
        await look("kubernetes_certificates", namespace="shop", kubeconfig=kubeconfig)
    assert caught.value.kind == "missing"
    with pytest.raises(ProbeError, match=r"the cluster serves no widgets in example\.com/v1"):
        await look("kubernetes_resource", api_version="example.com/v1", resource="widgets", kubeconfig=kubeconfig)


async def test_certificates(cert_manager: KubeServer, look: Look, namespace: str) -> None:
    cert_manager.create(certificate("web", namespace, dnsNames=["shop.example.com"]), issued(60 * DAY))
    cert_manager.create(certificate("api", namespace), issued(10 * DAY))
    cert_manager.create(certificate("old", namespace), issued(-2 * DAY, ready="False", why="Expired"))
    cert_manager.create(certificate("new", namespace))
    seen = await look("kubernetes_certificates", namespace=namespace)
    found = values(seen)
    assert (found["count"], found["ready"], found["not_ready"], found["expired"]) == (4, 2, 2, 1)
    assert float(found["days_left{web}"]) == pytest.approx(60, abs=0.01)
    assert float(found["days_left{old}"]) == pytest.approx(-2, abs=0.01)
    assert "days_left{new}" not in found
    assert found["renewal_overdue{web}"] == 0
    assert float(found["renewal_overdue{api}"]) == pytest.approx(10 * 86400, abs=60)
    assert "old: Expired: about Expired" in seen.note
    assert "new: not issued yet" in seen.note
    shown = evidence(seen, "certificates").splitlines()
    assert [line.partition(":")[0] for line in shown] == ["new", "old", "api", "web"]
    assert shown[-1].startswith("web: expires in ")
    assert shown[-1].endswith("; shop.example.com")
    assert values(await look("kubernetes_certificates", namespace=namespace, name="[wa]*"))["count"] == 2


def tls_secret(name: str, namespace: str, left: timedelta) -> Manifest:
    made = trustme.CA().issue_cert(f"{name}.example.com", not_after=datetime.now(UTC) + left)
    data = {"tls.crt": made.cert_chain_pems[0].bytes(), "tls.key": made.private_key_pem.bytes()}
    return secret(name, namespace, {key: base64.b64encode(value).decode() for key, value in data.items()})


def secret(name: str, namespace: str, data: dict[str, str]) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


async def test_tls_secrets(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(tls_secret("web-tls", namespace, 30 * DAY))
    broken = base64.b64encode(b"no certificate").decode()
    kube.create(secret("broken-tls", namespace, {"tls.crt": broken, "tls.key": broken}))
    kube.create(secret("opaque", namespace, {"word": broken}) | {"type": "Opaque"})
    seen = await look("kubernetes_certificates", namespace=namespace, source="secrets")
    found = values(seen)
    assert (found["count"], found["ready"], found["not_ready"], found["expired"]) == (2, 1, 1, 0)
    assert float(found["days_left{web-tls}"]) == pytest.approx(30, abs=0.01)
    assert seen.note == "broken-tls: tls.crt holds no certificate"
    assert "; web-tls.example.com" in evidence(seen, "certificates")
    assert "PRIVATE" not in str(seen)


@pytest.mark.probe("kubernetes_certificates")
@pytest.mark.probe_failure("kubernetes_certificates")
async def test_a_secret_by_name_needs_no_other(kube: KubeServer, look: Look, namespace: str) -> None:
    for name in ("web-tls", "else-tls"):
        kube.create(tls_secret(name, namespace, 30 * DAY))
    asked: dict[str, Any] = {"namespace": namespace, "source": "secrets"}
    probe: Any = PROBES["kubernetes_certificates"]
    rules = probe.rules(probe.Params(**asked, name=["web-tls", "gone-tls"]))
    made = roles(rules)
    assert made[0]["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["gone-tls", "web-tls"]}
    ]
    viewer = kube.viewer(made)
    found = values(await look("kubernetes_certificates", **asked, name=["web-tls", "gone-tls"], kubeconfig=viewer))
    assert (found["count"], found["ready"]) == (1, 1)
    with pytest.raises(ProbeError, match=f"forbidden: needs get on secrets else-tls in namespace {namespace}"):
        await look("kubernetes_certificates", **asked, name="else-tls", kubeconfig=viewer)
    with pytest.raises(ProbeError, match=f"forbidden: needs list on secrets in namespace {namespace}"):
        await look("kubernetes_certificates", **asked, kubeconfig=viewer)


@pytest.mark.probe("kubernetes_resource")
async def test_any_resource(cert_manager: KubeServer, look: Look, namespace: str) -> None:
    spec = {"size": 3, "storage": "10Gi", "enabled": True, "mode": "blue", "timeout": 250}
    cert_manager.create(certificate("one", namespace, **spec), issued(9 * DAY))
    cert_manager.create(certificate("two", namespace), issued(9 * DAY, ready="False", why="Issuing"))
    asked: dict[str, Any] = {"api_version": "cert-manager.io/v1", "resource": "certificates", "namespace": namespace}
    paths = {
        "size": "spec.size", "storage": {"path": "$.spec.storage", "unit": "bytes"}, "enabled": "spec.enabled",
        "mode": "spec.mode", "timeout": {"path": "spec.timeout", "unit": "ms"}, "revision": "status.revision",
        "waited": {"path": "status.renewalTime", "read": "age"}, "odd": {"path": "spec.mode", "read": "age"},
    }  # fmt: skip
    seen = await look("kubernetes_resource", **asked, values=paths, conditions=["Ready", "Synced"])
    found = values(seen)
    assert (found["size{one}"], found["storage{one}"], found["enabled{one}"]) == (3, 10 * 2**30, 1)
    assert (found["mode{one}"], found["timeout{one}"], found["revision{two}"]) == ("blue", 0.25, 3)
    assert float(found["waited{one}"]) == pytest.approx(11 * 86400, abs=60)
    assert (found["condition{one/Ready}"], found["condition{two/Ready}"], found["condition{one/Synced}"]) == (1, 0, 0)
    assert "two: Ready is False (Issuing: about Issuing)" in evidence(seen, "conditions")
    assert "one: Synced is not there" in evidence(seen, "conditions")
    assert seen.note == "none of 2 certificates has spec.mode"
    counted = await look("kubernetes_resource", **asked)
    assert (values(counted), counted.note) == ({"count": 2}, "one, two")
    counted = await look("kubernetes_resource", **asked, ignore=["o*", "three"])
    assert (values(counted), counted.note) == ({"count": 1}, "two")
    assert values(await look("kubernetes_resource", **asked, selector="app=two"))["count"] == 1
    everywhere = await look("kubernetes_resource", **{**asked, "namespace": "*"}, name="one", values={"s": "spec.size"})
    assert values(everywhere)[f"s{{{namespace}/one}}"] == 3


@pytest.mark.probe_failure("kubernetes_resource")
async def test_resources_without_a_namespace(kube: KubeServer, look: Look, namespace: str) -> None:
    asked: dict[str, Any] = {"api_version": "v1", "resource": "namespaces", "name": namespace}
    probe: Any = PROBES["kubernetes_resource"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(**asked))))
    seen = await look("kubernetes_resource", **asked, values={"phase": "status.phase"}, kubeconfig=viewer)
    assert values(seen) == {"count": 1, f"phase{{{namespace}}}": "Active"}
    with pytest.raises(ProbeError, match=r"forbidden: needs list on ingresses.networking.k8s.io in the whole cluster"):
        await look("kubernetes_resource", api_version="networking.k8s.io/v1", resource="ingresses", kubeconfig=viewer)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resource": "secrets"}, "secrets are not read"),
        ({"resource": "pods/log"}, "pattern"),
        ({"api_version": "apps"}, "pattern"),
        ({"values": {"count": "a"}}, "measure of the probe itself"),
        ({"values": {"a": "$["}}, "not a JSON path"),
        ({"values": {"a": {"path": "b", "unit": "furlongs"}}}, "unit"),
    ],
)
async def test_wrong_parameters(look: Look, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await look("kubernetes_resource", **{"api_version": "v1", "resource": "pods", **wrong})
