"""The probe kubernetes_pods against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import ended, owned_by, pod, running, waiting
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer


async def test_healthy_pods(kube: KubeServer, look: Look, namespace: str) -> None:
    for number in range(3):
        kube.create(pod(f"web-{number}", namespace, {"app": "web"}), running())
    kube.create(pod("migrate", namespace), {"phase": "Succeeded"})
    seen = await look("kubernetes_pods", namespace=namespace)
    found = values(seen)
    assert (found["count"], found["running"], found["ready"], found["not_ready"]) == (4, 3, 3, 0)
    assert (found["succeeded"], found["ready_ratio"], found["restarts"]) == (1, 1, 0)
    assert (seen.note, seen.evidence) == ("", ())


async def test_what_keeps_pods_from_working(kube: KubeServer, look: Look, namespace: str) -> None:
    crash = ended("Error", 1, timedelta(minutes=2))
    kube.create(pod("crashes", namespace), waiting("CrashLoopBackOff", restarts=7, last=crash))
    kube.create(pod("no-image", namespace), waiting("ImagePullBackOff", phase="Pending"))
    kube.create(pod("no-secret", namespace), waiting("CreateContainerConfigError", phase="Pending"))
    kube.create(pod("gone", namespace), {"phase": "Failed", "reason": "Evicted", "message": "low on memory"})
    kube.create(pod("lost", namespace), {"phase": "Unknown", "reason": "NodeLost"})
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    kube.create(pod("too-big", namespace), {"phase": "Pending", "conditions": [unschedulable]})
    seen = await look("kubernetes_pods", namespace=namespace, now=datetime.now(UTC) + timedelta(minutes=10))
    found = values(seen)
    names = ("crash_loop_back_off", "image_pull_errors", "start_errors", "failed", "evicted", "unknown", "pending")
    assert [found[name] for name in names] == [1, 1, 1, 1, 1, 1, 3]
    assert (found["not_ready"], found["ready_ratio"]) == (5, 0)
    assert 595 < float(found["oldest_pending_age"]) < 610
    shown = evidence(seen, "pods")
    assert "crashes: CrashLoopBackOff, 0/1 ready, 7 restarts, app ended with 1 (Error) 12m" in shown
    assert "too-big: Unschedulable" in shown
    assert "0/3 nodes" in shown
    assert "crashes CrashLoopBackOff" in seen.note


async def test_restarts_and_kills_age(kube: KubeServer, look: Look, namespace: str) -> None:
    killed = ended("OOMKilled", 137, timedelta(minutes=20))
    kube.create(pod("greedy", namespace), running(restarts=5, last=killed))
    for hours, recent, kills in ((0, 5, 1), (0.5, 5, 1), (2, 0, 0)):
        then = datetime.now(UTC) + timedelta(hours=hours)
        found = values(await look("kubernetes_pods", namespace=namespace, since="1h", now=then))
        assert (found["restarts"], found["recent_restarts"], found["oom_killed"]) == (5, recent, kills), hours
    # the pod was made before `since`: of its five restarts the last is known to be recent
    found = values(await look("kubernetes_pods", namespace=namespace, since="25m", now=then - timedelta(hours=1.999)))
    assert found["oom_killed"] == 1


async def test_one_restart_is_known_of_an_old_pod(kube: KubeServer, look: Look, namespace: str) -> None:
    now = datetime.now(UTC) + timedelta(days=3)
    last = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": f"{now - timedelta(minutes=5):%FT%TZ}"}}
    kube.create(pod("old", namespace), running(restarts=40, last=last))
    found = values(await look("kubernetes_pods", namespace=namespace, now=now))
    assert (found["restarts"], found["recent_restarts"]) == (40, 1)


async def test_selecting(kube: KubeServer, look: Look, namespace: str) -> None:
    web = {"app": "web", "pod-template-hash": "5d4f"}
    kube.create(pod("web-1", namespace, web, owners=owned_by("ReplicaSet", "web-5d4f")), running())
    kube.create(pod("canary-1", namespace, {"app": "web", "canary": ""}), running())
    kube.create(pod("db-0", namespace, {"app": "db"}, owners=owned_by("StatefulSet", "db")), running())
    kube.create(pod("tidy-x", namespace, {}, owners=owned_by("Job", "tidy-29384756", "batch/v1")), running())

    async def count(**which: object) -> float | str:
        return values(await look("kubernetes_pods", namespace=namespace, **which))["count"]

    assert await count(selector="app=web") == 2
    assert await count(selector={"app": "web"}) == 2
    assert await count(selector="app in (web, db),!canary") == 2
    assert await count(selector="app notin (web)") == 2
    assert await count(selector="app!=db") == 3
    assert await count(owner="Deployment/web") == 1
    assert await count(owner=["web", "StatefulSet/*"]) == 2
    assert await count(owner="CronJob/tidy") == 1
    assert await count(name="*-1") == 2


async def test_terminating_pods_count_apart(kube: KubeServer, look: Look, namespace: str) -> None:
    leaving = pod("leaving", namespace)
    leaving["metadata"]["finalizers"] = ["example.com/hold"]
    kube.create(leaving, running(ready=False))
    kube.delete(leaving)
    found = values(await look("kubernetes_pods", namespace=namespace, now=datetime.now(UTC) + timedelta(minutes=5)))
    assert (found["count"], found["terminating"], found["not_ready"], found["running"]) == (1, 1, 0, 0)
    assert 250 < float(found["oldest_terminating_age"]) < 310
    kube.request("PATCH", f"/api/v1/namespaces/{namespace}/pods/leaving", {"metadata": {"finalizers": None}})


async def test_init_containers_and_series(kube: KubeServer, look: Look, namespace: str) -> None:
    first = {"name": "first", "image": "x"}
    state = {"name": "first", "image": "x", "imageID": "", "ready": False, "restartCount": 3}
    state |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {}}
    kube.create(
        pod("starts", namespace, initContainers=[first]), {"phase": "Pending", "initContainerStatuses": [state]}
    )
    seen = await look("kubernetes_pods", namespace=namespace, per_pod=True)
    found = values(seen)
    assert (found["crash_loop_back_off"], found["pod_restarts{starts}"], found["pod_ready{starts}"]) == (1, 3, 0)
    assert seen.note == "starts Init:CrashLoopBackOff"


async def test_several_namespaces_and_all(kube: KubeServer, look: Look, namespace: str) -> None:
    other = kube.namespace()
    for place in (namespace, other):
        kube.create(pod("web", place, {"test": namespace}), running(ready=False))
    both = await look("kubernetes_pods", namespace=[namespace, other])
    assert values(both)["count"] == 2
    assert f"{other}/web" in both.note
    everywhere = await look("kubernetes_pods", namespace="*", selector=f"test={namespace}")
    assert values(everywhere)["count"] == 2


async def test_nothing_is_a_count_of_zero(look: Look, namespace: str) -> None:
    seen = await look("kubernetes_pods", namespace=namespace, selector="app=web")
    assert (values(seen)["count"], values(seen)["not_ready"]) == (0, 0)
    assert "ready_ratio" not in values(seen)
    assert seen.note == f"no pods matching app=web in namespace {namespace}"
    absent = await look("kubernetes_pods", namespace="not-there")
    assert values(absent)["count"] == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"namespace": "Shop/web"}, "is not a namespace"),
        ({"namespace": []}, "at least one namespace"),
        ({"namespace": "a", "selector": "app=web,,x"}, "cannot read"),
        ({"namespace": "a", "selector": "app in web"}, "cannot read"),
        ({"namespace": "a", "selector": 5}, "expected a label selector"),
        ({"namespace": "a", "since": "soon"}, "not a duration"),
    ],
)
async def test_wrong_parameters(look: Look, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await look("kubernetes_pods", **wrong)
