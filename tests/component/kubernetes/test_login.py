"""Logging in as kubeconfigs say: tokens, certificates, credential plugins; and what is said when it fails."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, looking, values
from tests.servers.kubernetes import KubeServer


@pytest.fixture
async def pods() -> AsyncIterator[Looker]:
    async with looking(PROBES["kubernetes_pods"]) as looker:
        yield looker


def with_user(kube: KubeServer, folder: Path, user: dict[str, Any]) -> str:
    """A kubeconfig in which the user logs in like that."""
    document = json.loads(Path(kube.kubeconfig()).read_text())
    document["users"][0]["user"] = user
    path = folder / "kubeconfig.yaml"
    path.write_text(json.dumps(document))
    return str(path)


def plugin(folder: Path, script: str, **more: Any) -> dict[str, Any]:
    """A user whose credentials a Python script prints."""
    path = folder / "plugin.py"
    path.write_text(script)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": [str(path)], **more}}


PRINTS = """
import json, os
assert json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"] == "ExecCredential"
status = {"token": os.environ["SHOP_TOKEN"], "expirationTimestamp": "2030-01-01T00:00:00Z"}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


async def test_a_credential_plugin(kube: KubeServer, pods: Looker, namespace: str, tmp_path: Path) -> None:
    user = plugin(tmp_path, PRINTS, env=[{"name": "SHOP_TOKEN", "value": kube.tokens["admin"]}])
    found = values(await pods(kubeconfig=with_user(kube, tmp_path, user), namespace=namespace))
    assert found["count"] == 0


async def test_a_client_certificate(kube: KubeServer, pods: Looker, namespace: str, tmp_path: Path) -> None:
    issued = kube.authority.issue_cert(
        "boss.example.com", common_name="boss", organization_name="system:masters", key_type=trustme.KeyType.RSA
    )
    issued.private_key_pem.write_to_path(str(tmp_path / "boss.key"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "boss.crt"))
    user = {"client-certificate": "boss.crt", "client-key": "boss.key"}  # relative to the kubeconfig
    assert values(await pods(kubeconfig=with_user(kube, tmp_path, user), namespace=namespace))["count"] == 0


async def test_a_token_file(kube: KubeServer, pods: Looker, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(kube.tokens["admin"])
    kubeconfig = with_user(kube, tmp_path, {"tokenFile": "token"})
    assert values(await pods(kubeconfig=kubeconfig, namespace=namespace))["count"] == 0


async def test_the_kubeconfig_of_the_environment(
    kube: KubeServer, pods: Looker, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'not-there'}:{kube.kubeconfig()}")
    assert values(await pods(namespace=namespace, context="main"))["count"] == 0


async def test_a_pod_without_service_account(pods: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    with pytest.raises(ProbeError, match=r"the pod's service account: Service token file does not exist") as caught:
        await pods(namespace="shop")
    assert caught.value.kind == "config"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit('log in first: token=abcdef1234567')", "ended with 1: log in first: token=<redacted>"),
        ("print('hello')", "gave no token and no certificate"),
        ("print('{\"status\": {}}')", "gave no token and no certificate"),
    ],
)
async def test_a_plugin_that_fails(kube: KubeServer, pods: Looker, tmp_path: Path, script: str, says: str) -> None:
    kubeconfig = with_user(kube, tmp_path, plugin(tmp_path, script))
    with pytest.raises(ProbeError) as caught:
        await pods(kubeconfig=kubeconfig, namespace="shop")
    assert caught.value.kind == "config"
    assert caught.value.reason.startswith(f"kubeconfig {kubeconfig}: the credential plugin {sys.executable} ")
    assert says in caught.value.reason


async def test_a_plugin_that_is_not_there(kube: KubeServer, pods: Looker, tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/not/there"}}
    with pytest.raises(ProbeError, match="plugin /not/there cannot be run: no such file") as caught:
        await pods(kubeconfig=with_user(kube, tmp_path, user), namespace="shop")
    assert caught.value.kind == "config"


async def test_a_plugin_that_hangs_is_ended_with_the_check(kube: KubeServer, pods: Looker, tmp_path: Path) -> None:
    pods.timeout = timedelta(seconds=3)
    kubeconfig = with_user(kube, tmp_path, plugin(tmp_path, "import time; time.sleep(600)"))
    with pytest.raises(ProbeError, match="no answer within 3s") as caught:
        await pods(kubeconfig=kubeconfig, namespace="shop")
    assert caught.value.kind == "timeout"
    for _ in range(200):
        if not any(str(tmp_path / "plugin.py") in _command(child) for child in psutil.Process().children()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the plugin still runs")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def test_a_broken_kubeconfig_is_not_quoted(kube: KubeServer, pods: Looker, tmp_path: Path) -> None:
    broken = [
        {"auth-provider": {"name": "oidc", "config": {"id-token": "header.c2VjcmV0LXBhcnQ.x"}}},
        {"exec": {"command": "/bin/true", "env": [{"name": "A", "value": "very-secret-word"}]}},
        {"token": ["very-secret-word"]},
    ]
    for user in broken:
        with pytest.raises(ProbeError) as caught:
            await pods(kubeconfig=with_user(kube, tmp_path, user), namespace="shop")
        assert "secret" not in caught.value.reason.replace(str(tmp_path), "")
        pods.shared.clear()


async def test_the_kubeconfig_is_not_written(kube: KubeServer, pods: Looker, namespace: str, tmp_path: Path) -> None:
    user = plugin(tmp_path, PRINTS, env=[{"name": "SHOP_TOKEN", "value": kube.tokens["admin"]}])
    path = Path(with_user(kube, tmp_path, user))
    before = path.read_bytes(), os.stat(path).st_mtime_ns
    await pods(kubeconfig=str(path), namespace=namespace)
    assert (path.read_bytes(), os.stat(path).st_mtime_ns) == before
