"""What deploy/ holds: accepted by a real API server, as restricted as it says, and of one piece."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.prometheus import build
from healthd.settings import Settings
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.manifests import (
    DEPLOY,
    OPERATOR,
    PROJECT,
    Manifest,
    chart,
    documents,
    kustomized,
    one,
    own_overlay,
    pod_of,
    run,
    unrestricted,
    wrong,
)  # fmt: skip
from tests.component.kubernetes.test_permissions import LOOKS, params_of, refusal
from tests.servers.kubernetes import KubeServer, collection

# the API server of the tests is of 1.20: it has the budget's version before the present one, with the same fields,
# and knows nothing of the Prometheus operator
OLDER = {"policy/v1": "policy/v1beta1"}
EVERYTHING = {
    "replicas": 2,
    "persistence": {"enabled": False},
    "existingSecret": "healthd",
    "secretFiles": {"HEALTHD_TOKEN": {"secret": "healthd", "key": "token"}},
    "database": {"existingSecret": "shop-pg-app", "key": "uri"},
    "tls": {"existingSecret": "healthd-tls"},
    "config": {"HEALTHD_PUBLIC_URL": "https://healthd.example", "HEALTHD_RELOAD_WATCH": True},
    "checks": {"files": {"shop": {"system.yaml": "system: {name: shop}\n"}}, "existingConfigMaps": {"bank": "bank"}},
    "rbac": {
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        "clusterRules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}],
        "namespaces": {"default": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]},
    },
    **{kind: {"enabled": True} for kind in ("prometheusRule", "grafanaDashboard")},
    "serviceMonitor": {
        "enabled": True,
        "scrapeTimeout": "10s",
        "relabelings": [{"action": "labeldrop", "regex": "endpoint"}],
        "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "python_.*"}],
    },
    "ingress": {"enabled": True, "host": "healthd.example", "tlsSecret": "tls", "className": "nginx"},
    "networkPolicy": {"ingressFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/healthd"}},
    "commonLabels": {"cost-centre": "42"},
    "extraEnv": [{"name": "SHOP_URL", "value": "https://shop.example"}],
    "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "affinity": {"nodeAffinity": {}},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["shop.example"]}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "priorityClassName": "important",
    "deploymentAnnotations": {"reloader": "true"},
    "podAnnotations": {"team": "platform"},
    "podLabels": {"team": "platform"},
    "imagePullSecrets": [{"name": "registry"}],
}
WAYS = ("single", "ha", "ha-everything", "chart", "chart-everything")


@functools.cache
def _rendered(way: str) -> str:
    if way == "ha-everything":
        with tempfile.TemporaryDirectory() as folder:
            parts = ("monitoring", "tls", "cluster-access")
            return yaml.safe_dump_all(own_overlay(Path(folder), "ha", *parts, namespace="monitoring"))
    if way in ("single", "ha"):
        return yaml.safe_dump_all(kustomized(DEPLOY / "kubernetes/overlays" / way))
    return yaml.safe_dump_all(chart(EVERYTHING if way == "chart-everything" else {}))


def rendered(way: str) -> list[Manifest]:
    """The objects of one way to install."""
    return documents(_rendered(way))


@pytest.mark.parametrize("way", WAYS)
def test_every_object_is_accepted_by_the_api_server(way: str, kube: KubeServer, namespace: str) -> None:
    found = rendered(way)
    assert {"Deployment", "Service", "NetworkPolicy", "ServiceAccount"} <= {o["kind"] for o in found}
    for manifest in found:
        if manifest["apiVersion"] == OPERATOR:
            continue
        if not manifest["kind"].startswith("Cluster"):
            manifest["metadata"]["namespace"] = namespace
        manifest["apiVersion"] = OLDER.get(manifest["apiVersion"], manifest["apiVersion"])
        kube.request("POST", f"{collection(manifest)}?dryRun=All", manifest)


@pytest.mark.parametrize("way", WAYS)
def test_every_object_is_what_the_newest_kubernetes_and_the_operator_know(way: str) -> None:
    assert not [complaint for manifest in rendered(way) if (complaint := wrong(manifest))]


def test_what_they_do_not_know_is_noticed() -> None:
    found = rendered("ha-everything")
    budget, monitor = one(found, "PodDisruptionBudget"), one(found, "ServiceMonitor")
    budget["spec"]["minAvailible"] = 1
    monitor["spec"]["endpoints"][0]["intervall"] = "30s"
    assert "minAvailible" in wrong(budget)
    assert "intervall" in wrong(monitor)


@pytest.mark.parametrize("way", WAYS)
def test_the_pod_is_restricted(way: str) -> None:
    """As the pod security standard "restricted" asks, and with nothing it could write but its data and /tmp."""
    spec = pod_of(rendered(way))
    assert not list(unrestricted(spec))
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"requests", "limits"} <= container["resources"].keys()
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    schemes = {
        container[f"{probe}Probe"]["httpGet"].get("scheme", "HTTP") for probe in ("startup", "liveness", "readiness")
    }
    tls = any(env["name"] == "HEALTHD_TLS_CERT" for env in container["env"])
    assert schemes == {"HTTPS" if tls else "HTTP"}
    grace = Settings().shutdown_grace.total_seconds() + ("lifecycle" in container and 3)
    assert spec["terminationGracePeriodSeconds"] > grace


def test_a_pod_that_is_not_restricted_is_noticed() -> None:
    spec = pod_of(rendered("single"))
    spec["volumes"].append({"name": "root", "hostPath": {"path": "/"}})
    spec["securityContext"] = {"runAsUser": 0}
    spec["containers"][0]["securityContext"] = {"capabilities": {"add": ["NET_ADMIN"]}}
    assert len(list(unrestricted(spec))) == 5


@pytest.mark.parametrize("way", WAYS)
def test_only_who_looks_at_kubernetes_has_a_token(way: str) -> None:
    given = pod_of(rendered(way))["automountServiceAccountToken"]
    assert given is (way in ("ha-everything", "chart-everything"))


@pytest.mark.parametrize("way", WAYS)
def test_its_parts_find_each_other(way: str) -> None:
    found = rendered(way)
    labels = one(found, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for manifest in found:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        wanted = selector.get("matchLabels", selector if manifest["kind"] == "Service" else {})
        assert wanted.items() <= labels.items(), manifest["kind"]
    names = {(o["kind"], o["metadata"]["name"]) for o in found}
    pod = pod_of(found)
    assert ("ServiceAccount", pod["serviceAccountName"]) in names
    for volume in pod["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in names
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("way", WAYS)
def test_prometheus_finds_its_pods(way: str) -> None:
    """As deploy/prometheus/scrape.yaml looks for them."""
    template = one(rendered(way), "Deployment")["spec"]["template"]
    job = yaml.safe_load((DEPLOY / "prometheus/scrape.yaml").read_text())["scrape_configs"][1]
    (selector,) = job["kubernetes_sd_configs"][0]["selectors"]
    wanted = dict(pair.split("=") for pair in selector["label"].split(","))
    assert wanted.items() <= template["metadata"]["labels"].items()
    assert [port["name"] for port in template["spec"]["containers"][0]["ports"]] == ["http"]


@pytest.mark.parametrize("way", WAYS)
def test_its_settings_are_settings(way: str) -> None:
    (container,) = pod_of(rendered(way))["containers"]
    known = {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
    given = {e["name"].removesuffix("_FILE") for e in container["env"] if e["name"].startswith("HEALTHD_")}
    assert given <= known


@pytest.mark.parametrize("way", ["chart", "single"])
async def test_its_account_may_do_what_its_checks_need_and_nothing_else(
    way: str, kube: KubeServer, look: Look, tmp_path: Path
) -> None:
    """The objects made for real, and looked with as the pod would: with the token of its service account."""
    looks = {kind: params for kind, params in LOOKS.items() if kind != "kubernetes_certificates"}  # it lists Secrets
    home, watched = kube.namespace(), kube.namespace()
    account = "release-healthd" if way == "chart" else "healthd"
    roles = tmp_path / "rbac.yaml"
    roles.write_text(printed(tmp_path, list(looks), watched, account, home))
    if way == "chart":
        found = chart({}, "--namespace", home, "--set-file", f"rbac.manifests={roles}")
    else:
        found = [*own_overlay(tmp_path, "single", "cluster-access", namespace=home), *documents(roles.read_text())]
    assert pod_of(found)["serviceAccountName"] == account
    assert pod_of(found)["automountServiceAccountToken"] is True
    for manifest in found:
        if manifest["kind"] == "ServiceAccount" or "rbac" in manifest["apiVersion"]:
            manifest["metadata"].setdefault("namespace", home)
            kube.create(manifest)
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    place = f"/api/v1/namespaces/{home}/serviceaccounts/{account}/token"
    token = kube.request("POST", place, wanted)["status"]["token"]
    user = f"system:serviceaccount:{home}:{account}"
    for manifest in found:
        if manifest["kind"] in ("Role", "ClusterRole"):
            for rule in manifest["rules"]:
                kube.wait_until_allowed(user, manifest["metadata"].get("namespace", ""), rule)
    kubeconfig = kube.kubeconfig(f"{home}-{account}", token=token)
    assert {kind: await refusal(look, kind, watched, kubeconfig) for kind in looks} == dict.fromkeys(looks, "")
    refused = {
        ("GET", f"/api/v1/namespaces/{watched}/secrets"), ("DELETE", f"/api/v1/namespaces/{watched}/pods/web"),
        ("POST", f"/api/v1/namespaces/{watched}/pods"), ("POST", f"/api/v1/namespaces/{watched}/pods/web/exec"),
        ("PATCH", f"/apis/apps/v1/namespaces/{watched}/deployments/web"), ("GET", f"/api/v1/namespaces/{home}/pods"),
        ("GET", "/api/v1/pods"), ("DELETE", "/api/v1/nodes/one"), ("GET", f"/api/v1/namespaces/{home}/secrets"),
        ("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{watched}/rolebindings"),
    }  # fmt: skip
    authorization = {"Authorization": f"Bearer {token}"}
    answers = {(verb, path): kube.client.request(verb, path, headers=authorization) for verb, path in refused}
    assert {asked: answer.status_code for asked, answer in answers.items()} == dict.fromkeys(
        refused, httpx.codes.FORBIDDEN
    )


def printed(folder: Path, kinds: list[str], namespace: str, account: str, home: str) -> str:
    """What `healthd permissions` says for a catalogue of these probes."""
    checks = [
        {"name": kind.replace("_", "-"), "every": "1m", "probe": {"type": kind, **params_of(kind, namespace)}}
        for kind in kinds
    ]
    (folder / "shop").mkdir()
    (folder / "shop/system.yaml").write_text(yaml.safe_dump({"system": {"name": "shop"}, "checks": checks}))
    words = [
        "--kind",
        "kubernetes",
        "--format",
        "yaml",
        "--service-account",
        account,
        "--namespace",
        home,
        "--name",
        home,
    ]
    argv = [sys.executable, "-m", "healthd", "permissions", str(folder / "shop"), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_rules_are_the_same_wherever_they_are() -> None:
    for path, text in build.files().items():
        assert path.read_text() == text, f"python -m deploy.prometheus.build writes {path}"
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    for way in ("ha-everything", "chart-everything"):
        assert one(rendered(way), "PrometheusRule")["spec"] == rules


def test_the_rules_do_what_they_say() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "no promtool: install Debian's prometheus"
    done = run(promtool, "test", "rules", DEPLOY / "prometheus/tests.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((DEPLOY / "prometheus/tests.yaml").read_text())["tests"]
    tried = [case for test in tests for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in tried if case["exp_alerts"]}
    quiet = {case["alertname"] for case in tried if not case["exp_alerts"]}
    assert fired == alerts().keys()
    assert quiet == alerts().keys() - {"Watchdog"}


def alerts() -> dict[str, Any]:
    """Our alerting rules by name."""
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    page = (PROJECT / "docs/alerts.md").read_text()
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert sorted(headings) == sorted(alerts())
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


def test_the_compose_file_names_settings_that_exist() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["healthd"]
    known = {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in service["environment"]} <= known
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_the_dockerfile_is_clean() -> None:
    done = run(PROJECT / ".venv/bin/hadolint", PROJECT / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
