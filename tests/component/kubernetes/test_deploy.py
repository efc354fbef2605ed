"""What deploy/ holds: accepted by a real API server, as restricted as it says, and of one piece."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from healthd.settings import Settings
from tests.servers.kubernetes import KubeServer, collection

PROJECT = Path(__file__).parents[3]
DEPLOY = PROJECT / "deploy"
CHART = DEPLOY / "helm/healthd"
# the API server of the tests is of 1.20: it has the budget's version before the present one, with the same fields,
# and knows nothing of the Prometheus operator
OLDER = {"policy/v1": "policy/v1beta1"}
OPERATOR = "monitoring.coreos.com/v1"
EVERYTHING = {
    "replicas": 2,
    "persistence": {"enabled": False},
    "existingSecret": "healthd",
    "config": {"HEALTHD_PUBLIC_URL": "https://healthd.example", "HEALTHD_RELOAD_WATCH": True},
    "checks": {"files": {"shop": {"system.yaml": "system: {name: shop}\n"}}, "existingConfigMaps": {"bank": "bank"}},
    "rbac": {
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        "clusterRules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}],
        "namespaces": {"default": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]},
    },
    **{kind: {"enabled": True} for kind in ("serviceMonitor", "podMonitor", "prometheusRule", "grafanaDashboard")},
    "ingress": {"enabled": True, "host": "healthd.example", "tlsSecret": "tls", "className": "nginx"},
    "networkPolicy": {"ingressFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
    "extraEnv": [{"name": "SHOP_URL", "value": "https://shop.example"}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"team": "platform"},
    "podLabels": {"team": "platform"},
    "imagePullSecrets": [{"name": "registry"}],
}


def tool(name: str) -> str:
    """kubectl or helm as .ci/kubernetes-tools keeps them. A test that needs one fails without it."""
    done = subprocess.run([PROJECT / ".ci/kubernetes-tools", "path"], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip()) / name
    if not path.is_file():
        pytest.fail(f"no {name} at {path}: run .ci/kubernetes-tools")
    return str(path)


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False)


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def overlay(name: str) -> list[dict[str, Any]]:
    done = run(tool("kubectl"), "kustomize", DEPLOY / "kubernetes/overlays" / name)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def chart(values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    file = folder / "values.yaml"
    file.write_text(json.dumps(values))
    done = run(tool("helm"), "template", "release", CHART, "--values", file)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def rendered(way: str, folder: Path) -> list[dict[str, Any]]:
    """The objects of one way to install."""
    if way in ("single", "ha"):
        return overlay(way)
    return chart(EVERYTHING if way == "chart-everything" else {}, folder)


WAYS = ("single", "ha", "chart", "chart-everything")


@pytest.mark.parametrize("way", WAYS)
def test_every_object_is_accepted_by_the_api_server(way: str, kube: KubeServer, namespace: str, tmp_path: Path) -> None:
    found = rendered(way, tmp_path)
    assert {"Deployment", "Service", "NetworkPolicy", "ServiceAccount"} <= {o["kind"] for o in found}
    for manifest in found:
        if manifest["apiVersion"] == OPERATOR:
            continue
        if not manifest["kind"].startswith("Cluster"):
            manifest["metadata"]["namespace"] = namespace
        manifest["apiVersion"] = OLDER.get(manifest["apiVersion"], manifest["apiVersion"])
        kube.request("POST", f"{collection(manifest)}?dryRun=All", manifest)


@pytest.mark.parametrize("way", WAYS)
def test_the_pod_is_restricted(way: str, tmp_path: Path) -> None:
    """As the pod security standard "restricted" asks, and with nothing it could write but its data and /tmp."""
    (deployment,) = (o for o in rendered(way, tmp_path) if o["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert not any("hostPath" in volume for volume in spec["volumes"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("way", WAYS)
def test_its_parts_find_each_other(way: str, tmp_path: Path) -> None:
    found = rendered(way, tmp_path)
    (deployment,) = (o for o in found if o["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for manifest in found:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        wanted = selector.get("matchLabels", selector if manifest["kind"] == "Service" else {})
        assert wanted.items() <= labels.items(), manifest["kind"]
    names = {(o["kind"], o["metadata"]["name"]) for o in found}
    pod = deployment["spec"]["template"]["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in names
    for volume in pod["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in names


@pytest.mark.parametrize("way", WAYS)
def test_its_settings_are_settings(way: str, tmp_path: Path) -> None:
    (deployment,) = (o for o in rendered(way, tmp_path) if o["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    known = {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
    assert {e["name"] for e in container["env"] if e["name"].startswith("HEALTHD_")} <= known


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "needs a PostgreSQL"),
        ({"checks": {"includeHost": False}}, "there is no catalogue"),
        ({"ingress": {"enabled": True}}, "ingress.host is needed"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    done = run(tool("helm"), "template", "release", CHART, "--values", file)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_chart_is_clean_and_carries_the_rules_and_dashboards() -> None:
    done = run(tool("helm"), "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout
    assert (CHART / "files/rules.yaml").read_text() == (DEPLOY / "prometheus/rules.yaml").read_text()


def test_the_operators_rules_are_those_of_the_file(tmp_path: Path) -> None:
    (rule,) = (o for o in chart(EVERYTHING, tmp_path) if o["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())


def test_the_rules_do_what_they_say() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "no promtool: install Debian's prometheus"
    done = run(promtool, "test", "rules", DEPLOY / "prometheus/tests.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    tests = (DEPLOY / "prometheus/tests.yaml").read_text()
    untried = [alert for alert in alerts if not re.search(rf"alertname: {alert}, exp_alerts: \[{{", tests)]
    assert not untried


def test_the_compose_file_names_settings_that_exist() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["healthd"]
    known = {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in service["environment"]} <= known
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_the_dockerfile_is_clean() -> None:
    hadolint = PROJECT / ".venv/bin/hadolint"
    done = run(hadolint, PROJECT / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
