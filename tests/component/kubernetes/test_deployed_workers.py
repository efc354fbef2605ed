"""Workers as the chart and the Kustomize component make them: a Deployment for each location, beside the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from healthd.settings import Settings
from tests.component.kubernetes.manifests import (
    DEPLOY,
    PROJECT,
    Manifest,
    chart,
    helm_template,
    kustomized,
    unrestricted,
    wrong,
)  # fmt: skip
from tests.servers.kubernetes import KubeServer, collection

VALUES = {
    "replicas": 2,
    "persistence": {"enabled": False},
    "database": {"existingSecret": "shop-pg-app", "key": "uri"},
    "existingSecret": "healthd",
    "tls": {"existingSecret": "healthd-tls"},
    "config": {"HEALTHD_PUBLIC_URL": "https://healthd.example"},
    "checks": {"files": {"shop": {"system.yaml": "system: {name: shop}\n"}}},
    "commonLabels": {"cost-centre": "42"},
    "workers": [
        {"location": "eu-west", "replicas": 2, "concurrency": 20},
        {"location": "dmz", "existingSecret": "healthd-dmz", "nodeSelector": {"zone": "dmz"}},
    ],
}


def workers(found: list[Manifest]) -> dict[str, Manifest]:
    """By location."""
    made = [o for o in found if o["kind"] == "Deployment"]
    return {o["metadata"]["labels"]["healthd.io/location"]: o for o in made if "worker" in o["metadata"]["name"]}


def component(folder: Path) -> list[Manifest]:
    """A kustomization with two locations, as docs/workers.md shows."""
    shown = (PROJECT / "docs/workers.md").read_text().partition("# eu-west/kustomization.yaml\n")[2].partition("```")[0]
    (folder / "deploy").symlink_to(DEPLOY)
    for location in ("eu-west", "dmz"):
        (folder / location).mkdir()
        own = shown.replace("<this repository>", "..").replace("eu-west", location)
        (folder / location / "kustomization.yaml").write_text(own)
    (folder / "own").mkdir()
    resources = ["../deploy/kubernetes/overlays/ha", "../eu-west", "../dmz"]
    mount = {"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts/-",
             "value": {"name": "shop", "mountPath": "/etc/healthd/checks/shop"}}  # fmt: skip
    volume = {"op": "add", "path": "/spec/template/spec/volumes/-",
              "value": {"name": "shop", "configMap": {"name": "shop-checks"}}}  # fmt: skip
    whole = {
        "namespace": "monitoring", "resources": resources,
        "components": ["../deploy/kubernetes/components/cluster-access", "../deploy/kubernetes/components/tls"],
        "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump([volume, mount])}],
    }  # fmt: skip
    (folder / "own/kustomization.yaml").write_text(yaml.safe_dump(whole))
    return kustomized(folder / "own")


@pytest.mark.parametrize("way", ["chart", "component"])
def test_workers_are_accepted_restricted_and_of_the_daemons_catalogue(
    way: str, kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    found = chart(VALUES) if way == "chart" else component(tmp_path)
    made = workers(found)
    assert set(made) == {"eu-west", "dmz"}
    policies = [o for o in found if o["kind"] == "NetworkPolicy"]
    for manifest in (*made.values(), *policies):
        assert not wrong(manifest)
        manifest["metadata"]["namespace"] = namespace
        kube.request("POST", f"{collection(manifest)}?dryRun=All", manifest)
    (daemon,) = (o for o in found if o["kind"] == "Deployment" and o not in made.values())
    for location, deployment in made.items():
        pod = deployment["spec"]["template"]
        selected = [p for p in policies if selects(p["spec"]["podSelector"], pod)]
        assert [policy["spec"]["ingress"] for policy in selected] == [[]]
        assert not list(unrestricted(pod["spec"]))
        assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert not daemon["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (container,) = pod["spec"]["containers"]
        assert container["args"][:3] in (["worker", "--location", location], ["worker", "--location", "$(LOCATION)"])
        assert pod["metadata"]["labels"]["healthd.io/location"] == location
        names = {entry["name"] for entry in container["env"]} - {"LOCATION"}
        assert names <= {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
        checks = [e for e in container["env"] if e["name"] == "HEALTHD_CHECKS"]
        assert checks == [e for e in daemon["spec"]["template"]["spec"]["containers"][0]["env"] if e in checks]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
        token = daemon["spec"]["template"]["spec"]["automountServiceAccountToken"]
        assert pod["spec"]["automountServiceAccountToken"] is token


def selects(selector: Manifest, pod: Manifest) -> bool:
    labels: dict[str, str] = pod["metadata"]["labels"]
    return bool(selector["matchLabels"].items() <= labels.items())


def test_a_worker_may_have_a_secret_and_a_place_of_its_own() -> None:
    made = workers(chart(VALUES))
    (usual,), (own,) = (made[name]["spec"]["template"]["spec"]["containers"] for name in ("eu-west", "dmz"))
    assert made["eu-west"]["spec"]["replicas"] == 2
    assert "HEALTHD_DATABASE_URL" in {entry["name"] for entry in usual["env"]}
    assert {"secretRef": {"name": "healthd"}} in usual["envFrom"]
    assert "HEALTHD_DATABASE_URL" not in {entry["name"] for entry in own["env"]}  # its secret names it
    assert {"secretRef": {"name": "healthd-dmz"}} in own["envFrom"]
    assert {"secretRef": {"name": "healthd"}} not in own["envFrom"]
    assert made["dmz"]["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "dmz"}


def test_a_secret_of_its_own_is_all_that_a_worker_is_given() -> None:
    given = {"HEALTHD_TOKEN": {"secret": "healthd", "key": "token"}}
    made = workers(chart({**VALUES, "secretFiles": given}))
    (usual,), (own,) = (made[name]["spec"]["template"]["spec"]["containers"] for name in ("eu-west", "dmz"))
    assert "HEALTHD_TOKEN_FILE" in {entry["name"] for entry in usual["env"]}
    assert "HEALTHD_TOKEN_FILE" not in {entry["name"] for entry in own["env"]}
    assert "secrets" not in {volume["name"] for volume in made["dmz"]["spec"]["template"]["spec"]["volumes"]}


def test_a_location_may_rest_and_what_the_database_needs_is_beside_every_worker() -> None:
    proxy = {"name": "proxy", "image": "cloud-sql-proxy"}
    made = workers(chart({**VALUES, "workers": [{"location": "eu-west", "replicas": 0}], "extraContainers": [proxy]}))
    assert made["eu-west"]["spec"]["replicas"] == 0
    assert proxy in made["eu-west"]["spec"]["template"]["spec"]["containers"]


def test_two_locations_are_two_whatever_the_release_is_called() -> None:
    name = "a-name-that-somebody-gave-it-for-what-were-good-reasons"
    found = chart({**VALUES, "fullnameOverride": name, "workers": [{"location": "eu-west"}, {"location": "eu-east"}]})
    names = [o["metadata"]["name"] for o in found if o["kind"] == "Deployment"]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"persistence": {"enabled": True}}, "workers need a PostgreSQL"),
        ({"replicas": 1, "database": {}, "existingSecret": ""}, "workers need a PostgreSQL"),
        ({"workers": [{"location": "EU West"}]}, "/workers/0/location"),
        ({"workers": [{"location": "daemon"}]}, "stands for the daemon itself"),
        ({"workers": [{"location": "dmz"}, {"location": "dmz"}]}, "each location once"),
    ],
)
def test_workers_that_cannot_work_are_refused(values: dict[str, Any], said: str) -> None:
    plain = {"persistence": {"enabled": False}, "database": {"existingSecret": "pg"}, "workers": [{"location": "dmz"}]}
    done = helm_template({**plain, **values})
    assert done.returncode != 0
    assert said in done.stderr
