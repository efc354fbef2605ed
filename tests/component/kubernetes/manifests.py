"""What deploy/ makes: rendered as its users render it, and held against what Kubernetes and the operator know."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

PROJECT = Path(__file__).parents[3]
DEPLOY = PROJECT / "deploy"
CHART = DEPLOY / "helm/healthd"
OPERATOR = "monitoring.coreos.com/v1"
Manifest = dict[str, Any]


def tool(name: str) -> str:
    """kubectl or helm as .ci/kubernetes-tools keeps them. A test that needs one fails without it."""
    done = subprocess.run([PROJECT / ".ci/kubernetes-tools", "path"], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip()) / name
    if not path.is_file():
        pytest.fail(f"no {name} at {path}: run .ci/kubernetes-tools")
    return str(path)


def run(*argv: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in argv], input=stdin, capture_output=True, text=True, check=False)


def documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def helm_template(values: Mapping[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
    return run(tool("helm"), "template", "release", CHART, "--values", "-", *more, stdin=json.dumps(values))


def chart(values: Mapping[str, Any], *more: str) -> list[Manifest]:
    """The chart's objects with these values."""
    done = helm_template(values, *more)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def kustomized(folder: Path) -> list[Manifest]:
    done = run(tool("kubectl"), "kustomize", folder)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def own_overlay(folder: Path, base: str, *components: str, **more: Any) -> list[Manifest]:
    """A user's kustomization in `folder`: the overlay `base`, components, and fields of their own."""

    def here(path: str) -> str:
        return os.path.relpath(DEPLOY / "kubernetes" / path, folder.resolve())

    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **more,
        "resources": [here(f"overlays/{base}")], "components": [here(f"components/{name}") for name in components],
    }  # fmt: skip
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return kustomized(folder)


def one(found: Iterable[Manifest], kind: str) -> Manifest:
    """The only one of this kind."""
    (manifest,) = (m for m in found if m["kind"] == kind)
    return manifest


def pod_of(found: Iterable[Manifest]) -> Manifest:
    """The pod's spec of the only Deployment."""
    spec: Manifest = one(found, "Deployment")["spec"]["template"]["spec"]
    return spec


def wrong(manifest: Manifest) -> str:
    """What the types of the newest Kubernetes, or the operator's, do not know of it; nothing when all is well.

    The types are those of the client library, which are made from the API's own description.
    """
    if manifest["apiVersion"] == OPERATOR:
        return _complaint(lambda: _OPERATORS[manifest["kind"]].model_validate(manifest["spec"]))
    client = _client()

    def known() -> None:
        made = client.deserialize(json.dumps(manifest), f"V1{manifest['kind']}", "application/json")
        kept = client.sanitize_for_serialization(made)
        if kept != manifest:
            raise ValueError(f"unknown fields, or values of another type: {kept} instead of {manifest}")

    return _complaint(known)


def _complaint(ask: Callable[[], object]) -> str:
    try:
        ask()
    except ValueError as error:
        return str(error)
    return ""


@functools.cache
def _client() -> Any:
    from kubernetes import client

    return client.ApiClient()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Secret(_Strict):
    name: str
    key: str


class _Source(_Strict):
    secret: _Secret


class _Tls(_Strict):
    server_name: str = Field("", alias="serverName")
    ca: _Source | None = None
    skip: bool = Field(False, alias="insecureSkipVerify")


class _Relabelling(_Strict):
    source: list[str] = Field([], alias="sourceLabels")
    target: str = Field("", alias="targetLabel")
    regex: str = ""
    replacement: str = ""
    action: Literal["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"] = "replace"


class _Endpoint(_Strict):
    port: str
    path: str
    interval: str = Field(pattern="^[0-9]+(ms|s|m|h)$")
    timeout: str = Field("1s", alias="scrapeTimeout", pattern="^[0-9]+(ms|s|m|h)$")
    scheme: Literal["http", "https"] = "http"
    tls: _Tls | None = Field(None, alias="tlsConfig")
    relabelings: list[_Relabelling] = []
    metric_relabelings: list[_Relabelling] = Field([], alias="metricRelabelings")


class _Selector(_Strict):
    labels: dict[str, str] = Field(alias="matchLabels")


class _ServiceMonitor(_Strict):
    job: str = Field(alias="jobLabel")
    selector: _Selector
    endpoints: list[_Endpoint] = Field(min_length=1)


class _PodMonitor(_Strict):
    job: str = Field(alias="jobLabel")
    selector: _Selector
    endpoints: list[_Endpoint] = Field(alias="podMetricsEndpoints", min_length=1)


class _Rule(_Strict):
    alert: str = ""
    record: str = ""
    expr: str
    duration: str = Field("0s", alias="for")
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Group(_Strict):
    name: str
    rules: list[_Rule] = Field(min_length=1)


class _PrometheusRule(_Strict):
    groups: list[_Group] = Field(min_length=1)


_OPERATORS: dict[str, type[_Strict]] = {
    "ServiceMonitor": _ServiceMonitor, "PodMonitor": _PodMonitor, "PrometheusRule": _PrometheusRule
}  # fmt: skip

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"
}  # fmt: skip


def unrestricted(pod: Manifest) -> Iterator[str]:
    """What the pod security standard "restricted" (Kubernetes 1.37) has against a pod's spec."""
    own = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if kinds := volume.keys() - {"name"} - _VOLUMES:
            yield f"a volume of {', '.join(kinds)}"
    if "sysctls" in own or "windowsOptions" in own or "seLinuxOptions" in own:
        yield "sysctls, Windows or SELinux options"
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        context = {**{key: own[key] for key in own}, **container.get("securityContext", {})}
        name = container["name"]
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            yield f"{name} may run as root"
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{name} may gain privileges"
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} has no seccomp profile"
        capabilities = context.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} keeps capabilities"
        if any("hostPort" in port for port in container.get("ports", [])) or "procMount" in context:
            yield f"{name} has a host port or a proc mount"
