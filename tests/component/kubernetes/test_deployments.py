"""The probe kubernetes_deployments against a real API server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import owned_by, rollout, workload
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer

HEALTHY = {"replicas": 3, "availableReplicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "observedGeneration": 1}


@pytest.mark.probe("kubernetes_deployments")
async def test_a_healthy_deployment(kube: KubeServer, look: Look, namespace: str) -> None:
    notes = {"deployment.kubernetes.io/revision": "7", "kubernetes.io/change-cause": "release 1.4.2"}
    made = workload("Deployment", "web", namespace, replicas=3, annotations=notes)
    kube.create(made, {**HEALTHY, "conditions": rollout(timedelta(minutes=12))})
    seen = await look("kubernetes_deployments", namespace=namespace)
    found = values(seen)
    assert (found["count"], found["degraded"]) == (1, 0)
    assert (found["desired{web}"], found["available{web}"], found["unavailable{web}"]) == (3, 3, 0)
    assert (found["available_ratio{web}"], found["updated{web}"], found["generation_lag{web}"]) == (1, 3, 0)
    assert (found["rolling_out{web}"], found["stalled{web}"], found["paused{web}"]) == (0, 0, 0)
    assert 718 < float(found["rollout_age{web}"]) < 735
    assert found["newest_rollout_age"] == found["rollout_age{web}"]
    shown = evidence(seen, "rollouts")
    assert "web: 3/3 available, shop/web:1.4.2, revision 7 rolled out 12m" in shown
    assert "because of: release 1.4.2" in shown
    assert seen.note == ""


async def test_a_rollout_that_does_not_get_on(kube: KubeServer, look: Look, namespace: str) -> None:
    status = {"replicas": 3, "availableReplicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "observedGeneration": 1}
    made = workload("Deployment", "web", namespace, replicas=3)
    kube.create(made, {**status, "conditions": rollout(timedelta(minutes=5), "ProgressDeadlineExceeded")})
    kube.create(workload("Deployment", "api", namespace, replicas=2, paused=True))
    seen = await look("kubernetes_deployments", namespace=namespace)
    found = values(seen)
    assert (found["degraded"], found["stalled{web}"], found["stalled{api}"]) == (2, 1, 0)
    assert float(found["available_ratio{web}"]) == pytest.approx(2 / 3)
    assert (found["rolling_out{web}"], found["unavailable{web}"]) == (1, 1)
    assert (found["available_ratio{api}"], found["paused{api}"], found["generation_lag{api}"]) == (0, 1, 1)
    assert "rollout_age{api}" not in found
    assert "web 2 of 3 available, rolled out 5m" in seen.note
    assert "1 updated, rollout past its deadline" in evidence(seen, "rollouts")
    assert "it is ProgressDeadlineExceeded" in evidence(seen, "rollouts")


async def test_scaled_to_nothing_on_purpose(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(workload("Deployment", "idle", namespace, replicas=0), {"observedGeneration": 1})
    found = values(await look("kubernetes_deployments", namespace=namespace))
    assert (found["available_ratio{idle}"], found["desired{idle}"], found["degraded"]) == (1, 0, 0)


async def test_by_name_and_selector(kube: KubeServer, look: Look, namespace: str) -> None:
    for name in ("web", "web-canary", "api"):
        kube.create(workload("Deployment", name, namespace, {"tier": name[:3]}, replicas=1))
    for which, count in (({"name": "web*"}, 2), ({"name": ["web", "api"]}, 2), ({"selector": "tier=api"}, 1)):
        assert values(await look("kubernetes_deployments", namespace=namespace, **which))["count"] == count
    nothing = await look("kubernetes_deployments", namespace=namespace, name="wbe")
    assert values(nothing) == {"count": 0, "degraded": 0}
    assert nothing.note == f"no Deployment called wbe in namespace {namespace}"


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_other_kinds(kube: KubeServer, look: Look, namespace: str, kind: str) -> None:
    made = kube.create(workload(kind, "db", namespace, **({"replicas": 3} if kind == "StatefulSet" else {})))
    if kind == "StatefulSet":
        status = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "updateRevision": "db-2"}
    else:
        status = {"desiredNumberScheduled": 3, "numberAvailable": 2, "numberReady": 2, "updatedNumberScheduled": 3}
        status |= {"currentNumberScheduled": 3, "numberMisscheduled": 0}
    kube.set_status(made, {**status, "observedGeneration": 1})
    for number in (1, 2):
        metadata = {"name": f"db-{number}", "namespace": namespace}
        metadata["ownerReferences"] = owned_by(kind, "db", uid=made["metadata"]["uid"])
        revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata}
        kube.create({**revision, "revision": number, "data": {}})
    seen = await look("kubernetes_deployments", namespace=namespace, kind=kind)
    found = values(seen)
    assert (found["desired{db}"], found["available{db}"], found["degraded"]) == (3, 2, 1)
    assert "stalled{db}" not in found
    assert float(found["rollout_age{db}"]) < 30
    assert "revision 2 rolled out" in evidence(seen, "rollouts")


async def test_the_least_role(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(workload("StatefulSet", "db", namespace, replicas=1))
    probe: Any = PROBES["kubernetes_deployments"]
    rules = probe.rules(probe.Params(namespace=namespace, kind="StatefulSet"))
    seen = await look(
        "kubernetes_deployments", namespace=namespace, kind="StatefulSet", kubeconfig=kube.viewer(roles(rules))
    )
    assert "no rollout_age" not in seen.note
    only = kube.viewer(roles([Rule("list", "statefulsets", "apps", namespace)]))
    seen = await look("kubernetes_deployments", namespace=namespace, kind="StatefulSet", kubeconfig=only)
    assert values(seen)["count"] == 1
    assert f"no rollout_age: forbidden: needs list on controllerrevisions.apps in namespace {namespace}" in seen.note
