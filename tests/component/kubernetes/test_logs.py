"""The probe kubernetes_logs: through a real API server, from a kubelet's stand-in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import ended, node, node_status, pod, running, waiting
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve
from tests.component.looking import evidence, values
from tests.servers.kubelet import Kubelet
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver

LOG = """\
2026-03-01T12:00:00Z INFO started
2026-03-01T12:00:01Z ERROR cannot reach db: password=hunter22 refused
2026-03-01T12:00:02Z \x1b[31mERROR\x1b[0m timeout of payment
2026-03-01T12:00:03Z WARN slow, no ERROR handling
2026-03-01T12:00:04Z ERROR health probe timeout"""


@pytest.fixture
def web(kube: KubeServer, kubelet: Kubelet, namespace: str) -> str:
    """A namespace with two pods on a node whose kubelet has their logs."""
    kube.create(node(namespace), {**node_status(), **kubelet.node_status()})
    for name in ("web-1", "web-2"):
        kube.create(pod(name, namespace, {"app": "web"}, nodeName=namespace), running())
    kubelet.write(namespace, "web-1", LOG)
    kubelet.write(namespace, "web-2", "INFO quiet\nERROR once\n")
    return namespace


async def test_lines_are_counted_and_shown(look: Look, kubelet: Kubelet, web: str) -> None:
    seen = await look("kubernetes_logs", namespace=web, selector="app=web", pattern="ERROR", per_pod=True, since="24h")
    found = values(seen)
    assert (found["matches"], found["lines"], found["pods"], found["unreadable"]) == (5, 7, 2, 0)
    assert found["match_ratio"] == pytest.approx(5 / 7)
    assert (found["pod_matches{web-1}"], found["pod_matches{web-2}"], found["truncated"]) == (4, 1, 0)
    assert found["bytes"] == len(LOG) + 22
    lines = evidence(seen, "lines").splitlines()
    assert lines[:2] == ["web-1: 2026-03-01T12:00:04Z ERROR health probe timeout", "web-2: ERROR once"]
    assert "web-1: 2026-03-01T12:00:02Z ERROR timeout of payment" in lines
    assert "hunter22" not in evidence(seen, "lines")
    assert kubelet.requests[-1]["sinceSeconds"] == "86400"


async def test_patterns_by_name_and_lines_to_ignore(look: Look, web: str) -> None:
    patterns = {"errors": r"Z (\S*)ERROR", "timeouts": "(?i)TIMEOUT", "start": "^2026.*started$"}
    seen = await look("kubernetes_logs", namespace=web, pattern=patterns, ignore="health probe")
    found = values(seen)
    assert (found["matches{errors}"], found["matches{timeouts}"], found["matches{start}"]) == (2, 1, 1)


async def test_the_log_before_the_restart(kube: KubeServer, kubelet: Kubelet, look: Look, web: str) -> None:
    crash = ended("Error", 1, timedelta(minutes=1))
    kube.create(pod("loops", web, nodeName=web), waiting("CrashLoopBackOff", restarts=2, last=crash))
    kubelet.write(web, "loops", "FATAL no such table\n", previous=True)
    kubelet.write(web, "loops", "starting\n")
    found = values(await look("kubernetes_logs", namespace=web, name="loops", pattern="FATAL", previous=True))
    assert (found["matches"], found["lines"]) == (1, 1)
    assert values(await look("kubernetes_logs", namespace=web, name="loops", pattern="FATAL"))["matches"] == 0


async def test_limits(look: Look, kubelet: Kubelet, web: str) -> None:
    kubelet.write(web, "web-2", "ERROR again and again\n" * 5000)
    seen = await look("kubernetes_logs", namespace=web, name="web-2", pattern="ERROR", max_bytes=2200)
    found = values(seen)
    assert (found["matches"], found["truncated"], found["bytes"]) == (100, 1, 2200)
    assert seen.note == "more than max_bytes in web-2"
    seen = await look("kubernetes_logs", namespace=web, pattern="ERROR", max_pods=1, samples=0)
    assert (values(seen)["skipped"], values(seen)["pods"]) == (1, 2)
    assert "only 1 of 2 pods were read" in seen.note
    assert seen.evidence == ()


async def test_pods_that_have_not_begun(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(pod("new", namespace), waiting("ContainerCreating", phase="Pending"))
    found = values(await look("kubernetes_logs", namespace=namespace, pattern="ERROR"))
    assert (found["matches"], found["pods"], found["unreadable"]) == (0, 1, 0)
    kube.create(pod("nowhere", namespace), running())  # without a node the server answers with nothing
    found = values(await look("kubernetes_logs", namespace=namespace, pattern="ERROR"))
    assert (found["matches"], found["pods"], found["unreadable"]) == (0, 2, 0)
    assert "match_ratio" not in found
    nothing = await look("kubernetes_logs", namespace=namespace, selector="app=x", pattern="ERROR")
    assert values(nothing) == {"pods": 0}
    assert nothing.note == f"no pods matching app=x in namespace {namespace}"


async def test_a_kubelet_that_is_away(kube: KubeServer, look: Look, web: str) -> None:
    away = node_status() | {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    kube.create(node(f"{web}-away"), {**away, "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}})
    kube.create(pod("far", web, nodeName=f"{web}-away"), running())
    seen = await look("kubernetes_logs", namespace=web, pattern="ERROR")
    assert (values(seen)["matches"], values(seen)["unreadable"]) == (5, 1)
    assert "far: " in seen.note
    assert "connection refused" in seen.note
    with pytest.raises(ProbeError, match="connection refused") as caught:
        await look("kubernetes_logs", namespace=web, name="far", pattern="ERROR")
    assert caught.value.kind == "unavailable"


async def test_permissions(kube: KubeServer, look: Look, web: str) -> None:
    probe: Any = PROBES["kubernetes_logs"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=web, pattern="x"))))
    assert values(await look("kubernetes_logs", namespace=web, pattern="ERROR", kubeconfig=viewer))["matches"] == 5
    half = kube.viewer(roles([Rule("list", "pods", "", web)]))
    with pytest.raises(ProbeError, match=f"forbidden: needs get on pods/log in namespace {web}"):
        await look("kubernetes_logs", namespace=web, pattern="ERROR", kubeconfig=half)


@pytest.mark.probe("kubernetes_logs")
@pytest.mark.probe_failure("kubernetes_logs")
async def test_a_connection_that_breaks_and_a_log_without_end(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    pods = [pod("web", "shop") | {"status": running()}]
    path = "/api/v1/namespaces/shop/pods"
    asked = {"namespace": "shop", "pattern": "x", "kubeconfig": kubeconfig_for(receiver.url, tmp_path)}
    serve(receiver, {path: listed(*pods), f"{path}/web/log": "reset"})
    with pytest.raises(ProbeError) as caught:
        await look("kubernetes_logs", **asked)
    assert caught.value.kind in ("network", "protocol")
    serve(receiver, {path: listed(*pods), f"{path}/web/log": "huge"})
    found = values(await look("kubernetes_logs", **asked, max_bytes=3_000_000))
    assert (found["bytes"], found["truncated"]) == (3_000_000, 1)
    assert receiver.sent_bytes < 60_000_000


@pytest.mark.parametrize("wrong", ["(", {}, {"a": "["}, ""])
async def test_patterns_that_are_none(look: Look, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"regular expression"):
        await look("kubernetes_logs", namespace="a", pattern=wrong)
