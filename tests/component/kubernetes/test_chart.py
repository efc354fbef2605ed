"""The Helm chart: what its values do, which are refused, and that its page says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploy.helm import values_table
from tests.component.kubernetes.manifests import (
    CHART,
    chart,
    helm_template,
    one,
    pod_of,
    run,
    tool,
    unrestricted,
    wrong,
)  # fmt: skip

SHARED = {"replicas": 3, "persistence": {"enabled": False}, "database": {"existingSecret": "pg", "key": "uri"}}
READS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
BOUND = {
    "kind": "RoleBinding", "subjects": [{"kind": "ServiceAccount", "name": "healthd", "namespace": "monitoring"}]
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "needs a PostgreSQL"),
        ({"replicas": 2, "persistence": {"enabled": False}}, "a PostgreSQL that they share"),
        ({"database": {"existingSecret": "pg"}}, "is not used while persistence.enabled"),
        ({"checks": {"includeHost": False}}, "there is no catalogue"),
        ({"checks": {"files": {"shop": {"a.yaml": "x"}}, "existingConfigMaps": {"shop": "x"}}}, "keep one"),
        ({"checks": {"files": {"Shop": {"a.yaml": "x"}}}}, "'Shop' does not match pattern"),
        ({"config": {"HEALTHD_PORT": "1"}}, "HEALTHD_PORT is set by the chart"),
        ({"config": {"HEALTHD_TOKEN": "x"}}, "HEALTHD_TOKEN is a secret"),
        ({"config": {"HEALTHD_SLACK_SIGNING_SECRET": "x"}}, "is a secret"),
        ({"config": {"HEALTHD_CONCURRENCY": {"http": 2}}}, "/config/HEALTHD_CONCURRENCY"),
        ({"ingress": {"enabled": True}}, "ingress.host is needed"),
        ({"replicas": "two"}, "got string, want integer"),
        ({"servicemonitor": {"enabled": True}}, "additional properties 'servicemonitor' not allowed"),
        ({"image": {"pullpolicy": "Always"}}, "additional properties 'pullpolicy' not allowed"),
        ({"image": {"digest": "latest"}}, "does not match pattern"),
        ({"service": {"type": "Clusterip"}}, "/service/type"),
        ({"secretFiles": {"HEALTHD_TOKEN": "x"}}, "/secretFiles/HEALTHD_TOKEN"),
        ({"prometheusRule": {"runbooks": "docs"}}, "/prometheusRule/runbooks"),
        ({"livenessProbe": {"httpGet": {"path": "/"}}}, "/livenessProbe"),
        ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "keep one"),
        ({"rbac": {"manifests": yaml.safe_dump(BOUND)}}, "--namespace default --service-account release-healthd"),
        ({"rbac": {"manifests": "Kubernetes: [a Role"}}, "rbac.manifests is not YAML"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any], said: str) -> None:
    done = helm_template(values)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize(
    "values",
    [
        SHARED,
        {**SHARED, "podDisruptionBudget": {"maxUnavailable": 1}, "preStopSeconds": 0},
        {**SHARED, "database": {}, "secretFiles": {"HEALTHD_DATABASE_URL": {"secret": "pg", "key": "uri"}}},
        {"replicas": 0, "persistence": {"existingClaim": "kept", "storageClass": "fast"}},
        {"global": {"of": "the parent chart"}, "fullnameOverride": "watch", "serviceAccount": {"create": False}},
        {"podMonitor": {"enabled": True, "scrapeTimeout": "10s"}, "tls": {"existingSecret": "tls"}},
        {"rbac": {"manifests": "# nothing is needed here, but in another cluster"}},
        {"networkPolicy": {"egress": [{"ports": [{"port": 443}]}]}, "rbac": {"create": False}},
        {"networkPolicy": {"enabled": False}, "service": {"type": "LoadBalancer", "port": 80, "labels": {"a": "b"}}},
        {
            "initContainers": [{"name": "wait", "image": "busybox"}],
            "extraContainers": [{"name": "proxy", "image": "p"}],
        },
        {"podSecurityContext": None, "securityContext": None, "resources": {"requests": {"cpu": "1"}}},
        {"checks": {"includeHost": False, "folders": ["/more/shop"]}, "extraArgs": ["--verbose"]},
    ],
    ids=lambda values: json.dumps(values)[:60],
)
def test_every_combination_makes_objects_that_kubernetes_knows(values: dict[str, Any]) -> None:
    for manifest in chart(values):
        assert not wrong(manifest)


def test_names_that_yaml_takes_for_something_else_stay_names() -> None:
    values = {
        **SHARED, "existingSecret": "1234", "database": {"existingSecret": "on", "key": "1e3"}, "config": {"NO": "off"},
        "tls": {"existingSecret": "0x1"}, "checks": {"existingConfigMaps": {"shop": "2026"}},
        "priorityClassName": "null", "workers": [{"location": "no"}, {"location": "007"}],
        "secretFiles": {"HEALTHD_TOKEN": {"secret": "1", "key": "2"}},
    }  # fmt: skip
    found = chart(values)
    assert not [complaint for manifest in found if (complaint := wrong(manifest))]
    assert one(found, "ConfigMap")["data"] == {"NO": "off"}


def test_grants_are_held_against_the_account_that_pods_have() -> None:
    for values in (
        {"serviceAccount": {"create": False, "name": "healthd"}},
        {"fullnameOverride": "healthd"},
        {"rbac": {"create": False}},
    ):
        granted = {**values, "rbac": {"manifests": yaml.safe_dump(BOUND), **values.get("rbac", {})}}
        assert helm_template(granted, "--namespace", "monitoring").returncode == 0


def test_what_is_not_set_is_not_there() -> None:
    kinds = {manifest["kind"] for manifest in chart({})}
    assert kinds == {
        "Deployment", "Service", "NetworkPolicy", "ServiceAccount", "PersistentVolumeClaim", "Pod"
    }  # fmt: skip


def test_the_test_pod_is_restricted_and_asks_the_service() -> None:
    found = chart({"tls": {"existingSecret": "tls"}, "service": {"port": 443}})
    pod = one(found, "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert not list(unrestricted(pod["spec"]))
    assert f"https://{one(found, 'Service')['metadata']['name']}:443/readyz" in pod["spec"]["containers"][0]["args"][0]
    compile(pod["spec"]["containers"][0]["args"][0], "args", "exec")
    # a Service that also led to the test's pod would ask it for the page
    assert not one(found, "Service")["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_upgrades_keep_the_selector() -> None:
    """A Deployment's selector cannot be changed: what may differ between versions or installations is not in it."""
    plain, other = chart({}), chart({"commonLabels": {"team": "a"}, "podLabels": {"b": "c"}, "nameOverride": "watch"})
    kept = {"app.kubernetes.io/name": "healthd", "app.kubernetes.io/instance": "release"}
    for found in (plain, other):
        selector = one(found, "Deployment")["spec"]["selector"]["matchLabels"]
        assert selector == {**kept, "app.kubernetes.io/component": "daemon"}


def test_pods_roll_when_settings_change_and_not_when_the_catalogue_does() -> None:
    def pod(**values: Any) -> Any:
        return one(chart(values), "Deployment")["spec"]["template"]

    first = pod(config={"A": "1"}, checks={"files": {"shop": {"system.yaml": "one"}}})
    assert pod(config={"A": "1"}, checks={"files": {"shop": {"system.yaml": "two"}}}) == first
    assert pod(config={"A": "2"}, checks={"files": {"shop": {"system.yaml": "one"}}}) != first


def test_numbers_stay_as_they_were_written() -> None:
    config = one(chart({"config": {"A": 1000000, "B": 1.5, "C": True, "D": "007"}}), "ConfigMap")
    assert config["data"] == {"A": "1000000", "B": "1.5", "C": "true", "D": "007"}


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ({}, False),
        ({"rbac": {"clusterRules": READS}}, True),
        ({"rbac": {"rules": READS}, "serviceAccount": {"automountToken": False}}, False),
        ({"serviceAccount": {"automountToken": True}}, True),
    ],
)
def test_a_token_is_given_where_something_is_granted(values: dict[str, Any], given: bool) -> None:
    found = chart(values)
    assert pod_of(found)["automountServiceAccountToken"] is given
    assert one(found, "ServiceAccount")["automountServiceAccountToken"] is given


def test_secrets_as_files_are_named_to_healthd() -> None:
    pod = pod_of(chart({"secretFiles": {"HEALTHD_TOKEN": {"secret": "s", "key": "k"}}}))
    (volume,) = (v for v in pod["volumes"] if v["name"] == "secrets")
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "s", "items": [{"key": "k", "path": "HEALTHD_TOKEN"}]}}
    ]
    (container,) = pod["containers"]
    assert {"name": "HEALTHD_TOKEN_FILE", "value": "/run/secrets/healthd/HEALTHD_TOKEN"} in container["env"]
    assert {"name": "secrets", "mountPath": "/run/secrets/healthd", "readOnly": True} in container["volumeMounts"]


def test_rules_without_the_checks_and_with_runbooks_where_they_are() -> None:
    where = "https://wiki.example/healthd/alerts"
    extra = {"name": "own", "rules": [{"record": "a", "expr": "b"}]}
    values = {"enabled": True, "checks": False, "runbooks": where, "extraGroups": [extra]}
    groups = one(chart({"prometheusRule": values}), "PrometheusRule")["spec"]["groups"]
    assert [group["name"] for group in groups] == ["healthd-recording", "healthd", "own"]
    urls = [rule["annotations"]["runbook_url"] for rule in groups[1]["rules"]]
    assert all(url.startswith(f"{where}#") for url in urls)


def test_the_chart_is_clean() -> None:
    done = run(tool("helm"), "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


def test_its_page_and_its_schema_know_every_value() -> None:
    text = (CHART / "values.yaml").read_text()
    readme = (CHART / "README.md").read_text()
    assert values_table.with_table(readme, text) == readme, "python -m deploy.helm.values_table writes it"
    shown = {name for name, _, _ in values_table.rows(text)}
    for path in leaves(yaml.safe_load(text)):
        assert any(path == name or path.startswith(f"{name}.") for name in shown), path
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["properties"].keys() - {"global"} == yaml.safe_load(text).keys()


def leaves(values: dict[str, Any], before: str = "") -> list[str]:
    """The dotted path of everything that is no mapping, or an empty one."""
    found = []
    for key, value in values.items():
        found += leaves(value, f"{before}{key}.") if isinstance(value, dict) and value else [f"{before}{key}"]
    return found
