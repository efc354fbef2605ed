"""The chart's workers: one Deployment for each location, beside the daemon."""

from __future__ import annotations

from healthd.settings import Settings
from tests.component.kubernetes.manifests import Manifest, chart, helm_template, unrestricted, wrong
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


def test_workers_are_accepted_restricted_and_of_the_daemons_catalogue(kube: KubeServer, namespace: str) -> None:
    found = chart(VALUES)
    made = workers(found)
    assert set(made) == {"eu-west", "dmz"}
    (daemon,) = (o for o in found if o["kind"] == "Deployment" and o not in made.values())
    for location, deployment in made.items():
        assert not wrong(deployment)
        deployment["metadata"]["namespace"] = namespace
        kube.request("POST", f"{collection(deployment)}?dryRun=All", deployment)
        pod = deployment["spec"]["template"]
        assert not list(unrestricted(pod["spec"]))
        assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert not daemon["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (container,) = pod["spec"]["containers"]
        assert container["args"][:3] == ["worker", "--location", location]
        names = {entry["name"] for entry in container["env"]}
        assert names <= {f"HEALTHD_{name.upper()}" for name in Settings.model_fields}
        checks = [e for e in container["env"] if e["name"] == "HEALTHD_CHECKS"]
        assert checks == [e for e in daemon["spec"]["template"]["spec"]["containers"][0]["env"] if e in checks]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


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


def test_workers_without_a_database_they_share_are_refused() -> None:
    done = helm_template({"workers": [{"location": "eu-west"}]})
    assert done.returncode != 0
    assert "workers need a PostgreSQL" in done.stderr
    done = helm_template({**VALUES, "workers": [{"location": "EU West"}]})
    assert done.returncode != 0
    assert "location" in done.stderr
