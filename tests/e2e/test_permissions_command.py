"""`healthd permissions` as people and programs use it, on a small catalogue and on that of this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pure.catalogue_samples import write
from tests.pure.test_permissions import SHOP

PROJECT = Path(__file__).parents[2]


def run(*arguments: str, checks: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEALTHD_")}
    return subprocess.run(
        [sys.executable, "-m", "healthd", "permissions", *arguments], env={**env, "HEALTHD_CHECKS": str(checks)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checks"), {"shop/system.yaml": SHOP})


def test_for_people(shop: Path) -> None:
    done = run(checks=shop)
    assert (done.returncode, done.stderr) == (0, "")
    headings = [line for line in done.stdout.splitlines() if line.startswith(("# ", "// ", "-- "))]
    assert headings == [
        "# Kubernetes: the cluster healthd runs in, or of its own kubeconfig (3 checks)",
        "# Kubernetes: kubeconfig /etc/other, context eu (1 check)",
        "// AWS: healthd's own credentials (3 checks)",
        "// AWS: arn:aws:iam::123456789012:role/watcher (1 check)",
        "-- PostgreSQL: db:5432/audit (1 check)",
        "-- PostgreSQL: db:5432/shop (2 checks)",
        "-- PostgreSQL: db:5433/reports (1 check)",
    ]
    assert "secret" not in done.stdout


def test_a_stream_of_manifests(shop: Path) -> None:
    done = run("--kind", "kubernetes", "--format", "yaml", "--name", "watcher", "--namespace", "ops", checks=shop)
    manifests = list(yaml.safe_load_all(done.stdout))
    assert [m["kind"] for m in manifests] == ["Role", "RoleBinding"]
    assert done.stderr == "left out: kubeconfig /etc/other, context eu; for that, --cluster eu\n"
    assert {m["metadata"]["name"] for m in manifests} == {"watcher"}
    assert manifests[1]["subjects"] == [{"kind": "ServiceAccount", "name": "healthd", "namespace": "ops"}]


def test_another_cluster_and_server(shop: Path) -> None:
    done = run("--kind", "kubernetes", "--format", "yaml", "--cluster", "eu", checks=shop)
    assert [m["kind"] for m in yaml.safe_load_all(done.stdout)] == ["ClusterRole", "ClusterRoleBinding"]
    assert done.stderr == ""
    done = run("--kind", "sql", "--server", "db:5433", checks=shop)
    assert done.stdout.count("GRANT") == 1
    done = run("--cluster", "us", checks=shop)
    assert (done.returncode, done.stderr) == (3, "no check asks a cluster 'us'; they ask here, eu\n")


def test_for_programs(shop: Path) -> None:
    done = run("--format", "json", checks=shop)
    found = json.loads(done.stdout)
    assert found.keys() == {"kubernetes", "aws", "sql"}
    assert found["sql"][1]["statements"][-1] == "GRANT SELECT ON orders TO watcher;"
    assert found["aws"][1] | {"policy": None} == {
        "identity": "arn:aws:iam::123456789012:role/watcher",
        "profile": "",
        "role": "arn:aws:iam::123456789012:role/watcher",
        "checks": ["shop/alarms"],
        "policy": None,
    }
    assert yaml.safe_load(run("--format", "yaml", checks=shop).stdout) == found
    assert json.loads(run("--format", "json", "--kind", "sql", checks=shop).stdout).keys() == {"sql"}


def test_sql_for_psql(shop: Path) -> None:
    done = run("--kind", "sql", "--sql-role", "Mixed Case", checks=shop)
    assert done.stdout.endswith('\\connect reports\nGRANT CONNECT ON DATABASE reports TO "Mixed Case";\n')


def test_nothing_is_needed(tmp_path: Path) -> None:
    host = "system: {name: host}\nchecks: [{name: load, every: 1m, probe: {type: load}}]"
    done = run(checks=write(tmp_path, {"host/system.yaml": host}))
    assert done.stdout == "the enabled checks need none of these permissions\n"


def test_a_catalogue_that_cannot_be_read(tmp_path: Path) -> None:
    done = run(str(tmp_path / "nowhere"), checks=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nowhere" in done.stderr


def test_the_systems_of_this_repository() -> None:
    done = run("--format", "json", checks=PROJECT / "checks")
    found = json.loads(done.stdout)
    assert [len(found[kind]) > 0 for kind in ("kubernetes", "aws", "sql")] == [True, True, True]
    roles = {m["metadata"].get("namespace") for c in found["kubernetes"] for m in c["manifests"]}
    assert "syncwatch-production" in roles
    statements = [s for d in found["sql"] for s in d["statements"]]
    assert all(s.startswith(("GRANT ", "ALTER ROLE ")) for s in statements)
