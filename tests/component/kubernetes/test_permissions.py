"""What `healthd permissions` prints, applied to a real API server: enough for a service account, no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Guarded, Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import node, node_status, pod, running, workload
from tests.servers.kubelet import Kubelet
from tests.servers.kubernetes import KubeServer

LOOKS: dict[str, dict[str, Any]] = {
    "kubernetes_nodes": {"summary": True},
    "kubernetes_pods": {},
    "kubernetes_deployments": {"kind": "StatefulSet"},
    "kubernetes_cronjobs": {},
    "kubernetes_jobs": {},
    "kubernetes_logs": {"pattern": "ERROR"},
    "kubernetes_usage": {"of": "pods"},
    "kubernetes_hpa": {},
    "kubernetes_pvcs": {"usage": True},
    "kubernetes_events": {},
    "kubernetes_certificates": {"source": "secrets"},
    "kubernetes_resource": {"api_version": "apps/v1", "resource": "replicasets", "values": {"r": "spec.replicas"}},
}


def params_of(kind: str, namespace: str) -> dict[str, Any]:
    return {**({} if kind == "kubernetes_nodes" else {"namespace": namespace}), **LOOKS[kind]}


def printed(folder: Path, namespace: str) -> list[dict[str, Any]]:
    """The manifests for a catalogue that looks with every type."""
    checks = [
        {"name": kind.replace("_", "-"), "every": "1m", "probe": {"type": kind, **params_of(kind, namespace)}}
        for kind in LOOKS
    ]
    (folder / "shop").mkdir()
    (folder / "shop/system.yaml").write_text(yaml.safe_dump({"system": {"name": "shop"}, "checks": checks}))
    words = ["permissions", str(folder / "shop"), "--kind", "kubernetes", "--format", "json", "--name", namespace]
    done = subprocess.run(
        [sys.executable, "-m", "healthd", *words, "--service-account", "watcher", "--namespace", namespace],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    [cluster] = json.loads(done.stdout)["kubernetes"]
    assert len(cluster["checks"]) == len(LOOKS)
    return list(cluster["manifests"])


async def refusal(look: Look, kind: str, namespace: str, kubeconfig: str) -> str:
    """What it says of permissions; nothing when it has those it needs."""
    try:
        seen = await look(kind, kubeconfig=kubeconfig, **params_of(kind, namespace))
    except ProbeError as error:
        return error.reason if error.kind == "forbidden" else ""
    return seen.note if "forbidden" in seen.note else ""


def test_every_type_is_tried() -> None:
    assert LOOKS.keys() == {kind for kind in PROBES if kind.startswith("kubernetes_")}


async def test_the_roles_printed_are_enough_and_each_rule_of_them_is_needed(
    kube: KubeServer, kubelet: Kubelet, look: Look, namespace: str, tmp_path: Path
) -> None:
    kube.create(node(namespace), {**node_status(), **kubelet.node_status()})
    kube.create(pod("web", namespace, nodeName=namespace), running())
    kubelet.write(namespace, "web", "fine\n")
    kube.create(workload("StatefulSet", "db", namespace))
    kubeconfig = kube.service_account("watcher", namespace)
    refused = {kind: await refusal(look, kind, namespace, kubeconfig) for kind in LOOKS}
    assert all(refused.values()), "nothing is allowed yet"
    user = f"system:serviceaccount:{namespace}:watcher"
    for manifest in printed(tmp_path, namespace):
        kube.create(manifest)
    rules = {rule for kind in LOOKS for rule in guarded(kind).rules(guarded(kind).Params(**params_of(kind, namespace)))}
    for rule in rules:
        kube.wait_until_allowed(user, rule.namespace, as_manifest(rule))
    assert {kind: await refusal(look, kind, namespace, kubeconfig) for kind in LOOKS} == dict.fromkeys(LOOKS, "")
    for rule in rules:
        apply(kube, rules - {rule}, namespace)
        kube.wait_until_allowed(user, rule.namespace, as_manifest(rule), allowed=False)
        said = [await refusal(look, kind, namespace, kubeconfig) for kind in LOOKS if needs(kind, namespace, rule)]
        assert any(f"needs {rule.verb} on {rule.resource}" in words for words in said), rule
        apply(kube, rules, namespace)
        kube.wait_until_allowed(user, rule.namespace, as_manifest(rule))


def guarded(kind: str) -> Any:
    probe = PROBES[kind]
    assert isinstance(probe, Guarded)
    return probe


def needs(kind: str, namespace: str, rule: Rule) -> bool:
    return rule in guarded(kind).rules(guarded(kind).Params(**params_of(kind, namespace)))


def as_manifest(rule: Rule) -> dict[str, Any]:
    return {"verbs": [rule.verb], "apiGroups": [rule.group], "resources": [rule.resource]}


def apply(kube: KubeServer, rules: set[Rule], name: str) -> None:
    """In place of what is there, which stays where nothing is left of it."""
    for role in roles(rules, name):
        place = role["metadata"].get("namespace")
        path = f"/namespaces/{place}/roles" if place else "/clusterroles"
        kube.request("PUT", f"/apis/rbac.authorization.k8s.io/v1{path}/{name}", role)
