"""An API server that refuses, is away, or is something else: UNKNOWN, with the reason and what would help."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import pod, running
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve, status
from tests.component.looking import Looker, looking, values
from tests.servers import odd
from tests.servers.kubernetes import KubeServer
from tests.servers.process import free_port
from tests.servers.receiver import Answer, Receiver, Request
from tests.servers.web import web_server

PODS = "/api/v1/namespaces/shop/pods"


@pytest.fixture
async def pods() -> AsyncIterator[Looker]:
    async with looking(PROBES["kubernetes_pods"]) as looker:
        yield looker


async def refused(looker: Looker, kubeconfig: str, **params: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await looker(**{"kubeconfig": kubeconfig, "namespace": "shop", **params})
    assert "let-me-in" not in caught.value.reason
    return caught.value


async def test_the_permission_that_is_missing_is_named(kube: KubeServer, look: Look, namespace: str) -> None:
    with pytest.raises(ProbeError) as caught:
        await look("kubernetes_pods", kubeconfig=kube.viewer(), namespace=namespace)
    assert caught.value.kind == "forbidden"
    assert caught.value.reason.startswith(f"forbidden: needs list on pods in namespace {namespace} (as user-")
    with pytest.raises(ProbeError, match="forbidden: needs list on pods in the whole cluster"):
        await look("kubernetes_pods", kubeconfig=kube.viewer(), namespace="*")
    with pytest.raises(ProbeError, match="forbidden: needs list on nodes in the whole cluster"):
        await look("kubernetes_nodes", kubeconfig=kube.viewer())


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        pytest.param(
            "kubernetes_deployments", "deployments.apps", marks=pytest.mark.probe_failure("kubernetes_deployments")
        ),
        pytest.param("kubernetes_jobs", "jobs.batch", marks=pytest.mark.probe_failure("kubernetes_jobs")),
        pytest.param(
            "kubernetes_hpa", "horizontalpodautoscalers.autoscaling", marks=pytest.mark.probe_failure("kubernetes_hpa")
        ),
    ],
)
async def test_every_probe_names_what_it_lacks(
    kube: KubeServer, look: Look, namespace: str, kind: str, what: str
) -> None:
    with pytest.raises(ProbeError) as caught:
        await look(kind, kubeconfig=kube.viewer(), namespace=namespace)
    assert caught.value.kind == "forbidden"
    assert caught.value.reason.startswith(f"forbidden: needs list on {what} in namespace {namespace}")


async def test_the_least_role_is_enough(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(pod("web", namespace), running())
    probe: Any = PROBES["kubernetes_pods"]
    viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace))))
    assert values(await look("kubernetes_pods", kubeconfig=viewer, namespace=namespace))["ready"] == 1
    probe = PROBES["kubernetes_nodes"]
    viewer = kube.viewer(roles(probe.rules(probe.Params())))
    assert "count" in values(await look("kubernetes_nodes", kubeconfig=viewer))


async def test_wrong_credentials(kube: KubeServer, pods: Looker) -> None:
    error = await refused(pods, kube.kubeconfig("stranger", token="not-a-token"))
    assert error.kind == "auth"
    assert error.reason == f"the API server {kube.url} does not accept the credentials (401)"


async def test_a_token_that_was_replaced(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    valid = ["Bearer of-yesterday"]

    def decide(request: Request) -> Answer:
        if request.headers["authorization"] not in valid:
            return status(401, "Unauthorized")
        return 200, {}, json.dumps(listed(pod("a", "shop")))

    receiver.decide(decide)
    kubeconfig = kubeconfig_for(receiver.url, tmp_path, token="of-yesterday")
    assert values(await pods(kubeconfig=kubeconfig, namespace="shop"))["count"] == 1
    valid[:] = ["Bearer of-today"]
    kubeconfig_for(receiver.url, tmp_path, token="of-today")
    assert values(await pods(kubeconfig=kubeconfig, namespace="other"))["count"] == 1


async def test_a_token_that_is_replaced_cuts_nobody_short(pods: Looker, tmp_path: Path) -> None:
    """One look waits for its answer while another finds out that the token has to be read anew."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.json_response(listed(pod("a", "slow")))

    async def strict(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer of-today":
            return web.json_response({"kind": "Status", "message": "Unauthorized"}, status=401)
        return web.json_response(listed(pod("b", "shop")))

    pods.timeout = timedelta(seconds=60)
    handlers = {"GET /api/v1/namespaces/slow/pods": slow, f"GET {PODS}": strict}
    async with web_server(handlers) as url:
        kubeconfig = kubeconfig_for(url, tmp_path, token="of-yesterday")
        waiting = asyncio.create_task(pods(kubeconfig=kubeconfig, namespace="slow"))
        await asked.wait()
        kubeconfig_for(url, tmp_path, token="of-today")
        assert values(await pods(kubeconfig=kubeconfig, namespace="shop"))["count"] == 1
        answer.set()
        assert values(await waiting)["count"] == 1


async def test_a_server_that_is_not_there(pods: Looker, tmp_path: Path) -> None:
    port = free_port()
    error = await refused(pods, kubeconfig_for(f"http://127.0.0.1:{port}", tmp_path))
    assert (error.kind, error.reason) == ("refused", f"the API server http://127.0.0.1:{port}: connection refused")
    pods.shared.clear()


async def test_a_name_nobody_knows(pods: Looker, tmp_path: Path) -> None:
    error = await refused(pods, kubeconfig_for("https://kube.invalid:6443", tmp_path))
    assert (error.kind, "kube.invalid" in error.reason) == ("dns", True)


async def test_a_server_of_another_authority(kube: KubeServer, pods: Looker, tmp_path: Path) -> None:
    error = await refused(pods, kubeconfig_for(kube.url, tmp_path))
    assert error.kind == "tls"
    assert "trusted" in error.reason


async def test_a_server_that_never_answers(pods: Looker, tmp_path: Path) -> None:
    pods.timeout = timedelta(seconds=1)
    async with odd.serving(odd.silent) as server:
        started = time.monotonic()
        error = await refused(pods, kubeconfig_for(server.url, tmp_path))
        assert time.monotonic() - started < 10
    assert error.kind == "timeout"
    assert "no answer within 1s (listing pods in namespace shop" in error.reason


async def test_the_list_ends_only_with_its_last_page(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    pages = {"": listed(pod("a", "shop"), token="next"), "next": listed(pod("b", "shop"), pod("c", "shop"))}
    serve(receiver, {PODS: lambda query: pages[query.get("continue", "")]})
    seen = await pods(kubeconfig=kubeconfig_for(receiver.url, tmp_path), namespace="shop")
    assert values(seen)["count"] == 3
    assert len(receiver.requests) == 2


@pytest.mark.probe("kubernetes_pods")
async def test_a_page_token_that_is_too_old(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    asked: list[str] = []

    def page(query: dict[str, str]) -> Any:
        asked.append(query.get("continue", ""))
        if len(asked) == 2:
            return status(410, "The provided continue parameter is too old", "Expired")
        return listed(pod("b", "shop")) if asked[-1] else listed(pod("a", "shop"), token="next")

    serve(receiver, {PODS: page})
    seen = await pods(kubeconfig=kubeconfig_for(receiver.url, tmp_path), namespace="shop")
    assert (values(seen)["count"], asked) == (2, ["", "next", "", "next"])


async def test_throttling(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    waiting = [status(429, "slow down", headers={"Retry-After": "0"})] * 2
    serve(receiver, {PODS: lambda _: waiting.pop() if waiting else listed(pod("a", "shop"))})
    kubeconfig = kubeconfig_for(receiver.url, tmp_path)
    assert values(await pods(kubeconfig=kubeconfig, namespace="shop"))["count"] == 1
    serve(receiver, {"/api/v1/namespaces/other/pods": status(429, "slow down", headers={"Retry-After": "60"})})
    error = await refused(pods, kubeconfig, namespace="other")
    assert error.kind == "busy"
    assert "too many requests (429), says to ask again in 60s" in error.reason


async def test_a_server_that_is_starting(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    serve(receiver, {PODS: status(503, "apiserver not ready", "ServiceUnavailable")})
    error = await refused(pods, kubeconfig_for(receiver.url, tmp_path))
    assert error.kind == "unavailable"
    assert "cannot answer now (503): apiserver not ready" in error.reason


async def test_a_resource_nobody_serves(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    serve(receiver, {})
    error = await refused(pods, kubeconfig_for(receiver.url, tmp_path))
    assert (error.kind, "serves no pods in v1" in error.reason) == ("missing", True)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html>Please log in</html>", "it is no JSON object"),
        ('{"kind": "Status", "status": "Success"}', "it has no items"),
        ('{"items": [{"metadata": {"name": "a"', "ends in the middle"),
        ('{"items": [{"unlike": "a pod"}]}', "none of pods"),
        ('{"items": [[[["a"]]]]}', "none of pods"),
        ('{"items": [' + "[" * 100_000, "deep|middle"),
        (b'{"items": ["\xff\xfe"]}', "no UTF-8"),
        ("", "ends in the middle"),
    ],
)
async def test_something_else_answers(
    body: str | bytes, says: str, pods: Looker, receiver: Receiver, tmp_path: Path
) -> None:
    serve(receiver, {PODS: (200, {"Content-Type": "application/json"}, body)})
    with pytest.raises(ProbeError, match=says) as caught:
        await pods(kubeconfig=kubeconfig_for(receiver.url, tmp_path), namespace="shop")
    assert caught.value.kind == "protocol"


async def test_an_endless_answer(pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    serve(receiver, {PODS: "huge"})
    error = await refused(pods, kubeconfig_for(receiver.url, tmp_path))
    assert error.kind == "protocol"


@pytest.mark.parametrize("answer", ["reset", "close", "garbage"])
async def test_broken_connections(answer: str, pods: Looker, receiver: Receiver, tmp_path: Path) -> None:
    serve(receiver, {PODS: answer})
    error = await refused(pods, kubeconfig_for(receiver.url, tmp_path))
    assert error.kind in ("network", "protocol")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        ("clusters: [", "no YAML"),
        ("{}", "current-context"),
        (json.dumps({"current-context": "a", "contexts": []}), "contexts"),
        ("just words", "kubeconfig"),
    ],
)
async def test_a_kubeconfig_that_is_none(content: str | None, says: str, pods: Looker, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    error = await refused(pods, str(path))
    assert error.kind == "config"
    assert error.reason.startswith(f"kubeconfig {path}: ")
    assert says in error.reason


@pytest.mark.probe_failure("kubernetes_pods")
async def test_a_context_that_is_not_in_it(kube: KubeServer, pods: Looker) -> None:
    error = await refused(pods, kube.kubeconfig(), context="staging")
    assert (error.kind, "staging" in error.reason) == ("config", True)


async def test_an_api_server_that_is_restarted(tmp_path: Path, pods: Looker) -> None:
    with KubeServer(tmp_path / "own") as own:
        namespace = own.namespace()
        own.create(pod("web", namespace), running())
        kubeconfig = own.kubeconfig()
        assert values(await pods(kubeconfig=kubeconfig, namespace=namespace))["count"] == 1
        own.stop()
        pods.shared.clear()
        error = await refused(pods, kubeconfig, namespace="kube-system")
        assert error.kind in ("refused", "network", "protocol")
        own.start()
        pods.shared.clear()
        assert values(await pods(kubeconfig=kubeconfig, namespace="kube-system"))["count"] == 0
