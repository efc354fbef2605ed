"""The probe kubernetes_events against a real API server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import Manifest, stamp
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer


def event(
    name: str, namespace: str, reason: str, message: str = "it happened", *, about: str = "web-1", ago: float = 60,
    times: int = 1, kind: str = "Warning",
) -> Manifest:  # fmt: skip
    at = stamp(timedelta(seconds=ago))
    return {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace}, "type": kind,
        "involvedObject": {"kind": "Pod", "name": about, "namespace": namespace}, "reason": reason,
        "message": message, "firstTimestamp": stamp(timedelta(hours=9)), "lastTimestamp": at, "count": times,
    }  # fmt: skip


@pytest.fixture
def happened(kube: KubeServer, namespace: str) -> str:
    """A namespace in which a few things have happened."""
    kube.create(event("a", namespace, "BackOff", "restarting failed container", times=40))
    kube.create(event("b", namespace, "BackOff", "pulling image, token=abcdef123456 refused", about="api-1", ago=30))
    kube.create(event("c", namespace, "Unhealthy", "Readiness probe failed: timeout", ago=7200))
    kube.create(event("d", namespace, "Scheduled", kind="Normal"))
    modern = event("e", namespace, "FailedScheduling", "0/3 nodes are available", about="api-2")
    for old in ("firstTimestamp", "lastTimestamp", "count"):
        del modern[old]
    modern |= {"eventTime": stamp(timedelta(hours=3))[:-1] + ".000000Z", "reportingComponent": "scheduler"}
    modern |= {"action": "Scheduling", "reportingInstance": "scheduler-1"}
    modern["series"] = {"count": 12, "lastObservedTime": stamp(timedelta(minutes=2))[:-1] + ".000000Z"}
    kube.create(modern)
    return namespace


async def test_warnings(look: Look, happened: str) -> None:
    seen = await look("kubernetes_events", namespace=happened)
    found = values(seen)
    assert (found["count"], found["occurrences"], found["objects"]) == (3, 53, 3)
    assert (found["by_reason{BackOff}"], found["by_reason{FailedScheduling}"]) == (2, 1)
    assert "by_reason{Unhealthy}" not in found
    lines = evidence(seen, "events").splitlines()
    assert "s ago, Pod/api-1: BackOff, pulling image" in lines[0]
    assert "40 times, Pod/web-1: BackOff, restarting failed container" in lines[1]
    assert "abcdef123456" not in evidence(seen, "events")
    assert seen.note == "2 BackOff, 1 FailedScheduling"


@pytest.mark.parametrize(
    ("which", "count"),
    [
        ({"reason": "BackOff"}, 2),
        ({"reason": ["Failed*", "Unhealthy"]}, 1),
        ({"object": "^Pod/api-"}, 2),
        ({"message": "(?i)IMAGE"}, 1),
        ({"since": "3h"}, 4),
        ({"since": "45s"}, 1),
        ({"event_type": "any"}, 4),
        ({"event_type": "Normal"}, 1),
        ({"reason": "Evicted"}, 0),
    ],
)
async def test_choosing(look: Look, happened: str, which: dict[str, Any], count: int) -> None:
    found = values(await look("kubernetes_events", namespace=happened, **which))
    assert found["count"] == count
    if which.get("reason") == "Evicted":
        assert found["by_reason{Evicted}"] == 0


@pytest.mark.probe("kubernetes_events")
@pytest.mark.probe_failure("kubernetes_events")
async def test_none_and_permissions(kube: KubeServer, look: Look, namespace: str) -> None:
    probe: Any = PROBES["kubernetes_events"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace))))
    seen = await look("kubernetes_events", namespace=namespace, kubeconfig=viewer)
    assert values(seen) == {"count": 0, "occurrences": 0, "objects": 0}
    with pytest.raises(ProbeError, match="forbidden: needs list on events in the whole cluster"):
        await look("kubernetes_events", namespace="*", kubeconfig=viewer)
