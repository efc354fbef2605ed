"""The probe kubernetes_hpa: on a real API server (which has the beta), and what newer ones say."""

from __future__ import annotations

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.probes import PROBES
from healthd.probes.kubernetes.access import roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import Manifest, stamp
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}


def hpa(name: str, namespace: str, version: str = "autoscaling/v2beta2", most: int = 10) -> Manifest:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": most, "metrics": [CPU]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def state(current: int, desired: int, cpu: int, *conditions: tuple[str, str, str]) -> Manifest:
    value = {"averageUtilization": cpu, "averageValue": "100m"}
    return {
        "currentReplicas": current, "desiredReplicas": desired, "lastScaleTime": stamp(timedelta(minutes=3)),
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": value}}],
        "conditions": [
            {"type": kind, "status": holds, "reason": why, "message": f"about {why}", "lastTransitionTime": stamp()}
            for kind, holds, why in conditions
        ],
    }  # fmt: skip


@pytest.mark.probe("kubernetes_hpa")
async def test_autoscalers(kube: KubeServer, look: Look, namespace: str) -> None:
    fine = [("AbleToScale", "True", "ReadyForNewScale"), ("ScalingActive", "True", "ValidMetricFound")]
    kube.create(hpa("calm", namespace), state(3, 3, 35, *fine))
    kube.create(hpa("full", namespace), state(10, 10, 105, *fine, ("ScalingLimited", "True", "TooManyReplicas")))
    kube.create(hpa("blind", namespace), state(3, 0, 0, ("ScalingActive", "False", "FailedGetResourceMetric")))
    kube.create(hpa("off", namespace), state(0, 0, 0, ("ScalingActive", "False", "ScalingDisabled")))
    seen = await look("kubernetes_hpa", namespace=namespace)
    found = values(seen)
    assert (found["count"], found["current{calm}"], found["desired{calm}"]) == (4, 3, 3)
    assert (found["min{calm}"], found["max{calm}"], found["at_max{calm}"], found["limited{calm}"]) == (2, 10, 0, 0)
    assert (found["utilisation{calm/cpu}"], found["load{calm/cpu}"]) == (0.35, 0.5)
    assert found["target_utilisation{calm/cpu}"] == 0.7
    assert (found["at_max{full}"], found["limited{full}"], found["load{full/cpu}"]) == (1, 1, 1.5)
    assert (found["unable_to_scale{blind}"], found["unable_to_scale{off}"], found["unable_to_scale{full}"]) == (1, 0, 0)
    assert 178 < float(found["last_scale_age{calm}"]) < 195
    assert "full is at its maximum of 10 and wants more" in seen.note
    assert "blind cannot scale (FailedGetResourceMetric)" in seen.note
    assert "Deployment/full, 10 pods, wants 10 of 2 to 10, cpu at 150% of its target" in evidence(seen, "autoscalers")
    assert values(await look("kubernetes_hpa", namespace=namespace, name="[cf]*"))["count"] == 2


async def test_other_metrics_on_a_newer_server(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    queue = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "30"}}}
    inside = {"name": "memory", "container": "app", "target": {"type": "AverageValue", "averageValue": "100Mi"}}
    scaler = hpa("worker", "shop", "autoscaling/v2")
    scaler["spec"]["metrics"] = [queue, {"type": "ContainerResource", "containerResource": inside}, {"type": "New"}]
    scaler["status"] = {"currentReplicas": 1, "desiredReplicas": 1, "currentMetrics": [
        {"type": "External", "external": {"metric": {"name": "queue"}, "current": {"value": "45"}}},
        {"type": "ContainerResource",
         "containerResource": {"name": "memory", "container": "app", "current": {"averageValue": "50Mi"}}},
    ]}  # fmt: skip
    # as the published schema of the API has it: nothing required is missing, nothing unknown is there
    schema = importlib.import_module("kubernetes.client.models").V2HorizontalPodAutoscaler
    assert schema.from_dict(scaler).model_dump(by_alias=True, exclude_none=True) == scaler
    bare = hpa("bare", "shop", "autoscaling/v2")
    serve(receiver, {"/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers": listed(scaler, bare)})
    seen = await look("kubernetes_hpa", namespace="shop", kubeconfig=kubeconfig_for(receiver.url, tmp_path))
    found = values(seen)
    assert (found["load{worker/queue}"], found["load{worker/app/memory}"]) == (1.5, 0.5)
    assert (found["count"], found["current{bare}"]) == (2, 0)
    assert "utilisation{worker/queue}" not in found


async def test_none_and_permissions(kube: KubeServer, look: Look, namespace: str) -> None:
    probe: Any = PROBES["kubernetes_hpa"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace))))
    seen = await look("kubernetes_hpa", namespace=namespace, name="web", kubeconfig=viewer)
    assert (values(seen), seen.note) == (
        {"count": 0},
        f"no HorizontalPodAutoscaler called web in namespace {namespace}",
    )
