"""What the checks of a catalogue must be allowed to do, put together from what their probes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from healthd.loading import load_catalogue
from healthd.model.catalogue import Catalogue
from healthd.probes import PROBES
from healthd.probes.permissions import permissions
from healthd.probes.postgres.relations import functions_in, relations_in
from healthd.settings import Settings
from tests.pure.catalogue_samples import write

SHOP = """
    system: {name: shop}
    checks:
      - {every: 1m, name: pods, probe: {type: kubernetes_pods, namespace: shop}}
      - {every: 1m, name: errors, probe: {type: kubernetes_logs, namespace: shop, pattern: ERROR}, playbook: slow}
      - {every: 1m, name: elsewhere, probe: {type: kubernetes_nodes, kubeconfig: /etc/other, context: eu}}
      - {every: 1m, name: "off", enabled: false, probe: {type: kubernetes_hpa, namespace: shop}}
      - {every: 1m, name: load, probe: {type: load}}
      - {every: 1m, name: backup, probe: {type: s3_backup, bucket: shop-backups}}
      - {every: 1m, name: bucket, probe: {type: s3_bucket, bucket: shop-backups, aspects: [versioning]}}
      - {every: 1m, name: alarms, probe: {type: cloudwatch_alarms, role_arn: "arn:aws:iam::123456789012:role/watcher"}}
      - every: 1m
        name: orders
        probe: {type: postgres_query, url: "postgresql://watcher:secret@db/shop", query: SELECT count(*) FROM orders}
      - {every: 1m, name: sessions, probe: {type: postgres_activity, url: "postgresql://watcher:secret@db/shop"}}
      - {every: 1m, name: reports, probe: {type: postgres, url: "postgresql://db:5433/reports"}}
    playbooks:
      slow:
        title: Slow
        diagnostics:
          - {title: Events, probe: {type: kubernetes_events, namespace: shop}}
          - title: Who waits
            probe: {type: postgres_locks, url: "postgresql://watcher:secret@db/audit"}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Catalogue:
    return load_catalogue(Settings(), [str(write(tmp_path, {"shop/system.yaml": SHOP}) / "shop")])


def role(namespace: str, *rules: dict[str, Any]) -> dict[str, Any]:
    kind, place = ("Role", {"namespace": namespace}) if namespace else ("ClusterRole", {})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "watcher", **place},
        "rules": list(rules),
    }  # fmt: skip


def test_clusters(shop: Catalogue) -> None:
    here, elsewhere = permissions(shop, PROBES).clusters
    assert here.checks[:2] == ("shop/pods", "shop/errors")
    assert here.manifests("watcher", "healthd", "monitoring") == [
        role(
            "shop",
            {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        ),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "watcher", "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"},
            "subjects": [{"kind": "ServiceAccount", "name": "healthd", "namespace": "monitoring"}],
        },
    ]
    assert str(elsewhere) == "kubeconfig /etc/other, context eu"
    manifests = elsewhere.manifests("watcher", "healthd", "monitoring")
    assert manifests[0] == role("", {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]})
    assert manifests[1]["kind"] == "ClusterRoleBinding"


def test_accounts(shop: Catalogue) -> None:
    own, assumed = permissions(shop, PROBES).accounts
    assert own.policy["Statement"] == [
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": "arn:aws:iam::123456789012:role/watcher"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:ListBucket"],
            "Resource": "arn:aws:s3:::shop-backups",
        },
    ]
    assert str(assumed) == "arn:aws:iam::123456789012:role/watcher"
    assert assumed.policy["Statement"] == [
        {"Effect": "Allow", "Action": ["cloudwatch:DescribeAlarms"], "Resource": "*"}
    ]


def test_databases(shop: Catalogue) -> None:
    found = permissions(shop, PROBES).databases
    assert [(str(database), database.role, database.statements("healthd")) for database in found] == [
        (
            "db:5432/audit",
            "watcher",
            ["GRANT CONNECT ON DATABASE audit TO watcher;", "GRANT pg_read_all_stats TO watcher;"],
        ),
        (
            "db:5432/shop",
            "watcher",
            [
                "GRANT CONNECT ON DATABASE shop TO watcher;",
                "GRANT pg_read_all_stats TO watcher;",
                "GRANT SELECT ON orders TO watcher;",
            ],
        ),
        ("db:5433/reports", "", ["GRANT CONNECT ON DATABASE reports TO healthd;"]),
    ]
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT count(*) FROM orders", {"orders"}),
        ("SELECT 1 FROM shop.Orders o, users AS u JOIN audit.\"Log\" l ON (l.id = o.id), c", {
            "shop.orders", "users", 'audit."Log"', "c",
        }),
        ("SELECT extract(epoch FROM now() - min(created_at)) FROM jobs", {"jobs"}),
        ("SELECT substring(name FROM 1 FOR 2), trim(both FROM x) FROM t WHERE a IS DISTINCT FROM b", {"t"}),
        ("WITH a AS (SELECT 1 FROM x), b (c, d) AS NOT MATERIALIZED (SELECT * FROM y) SELECT * FROM a, b", set("xy")),
        ("SELECT * FROM a JOIN b USING (c, d), generate_series(1, 2) AS g(n), LATERAL (SELECT * FROM z) q", set("abz")),
        ("SELECT * FROM (a JOIN b ON true) WHERE x IN (SELECT 1 FROM c UNION ALL TABLE d) ORDER BY e, f", set("abcd")),
        ("SELECT (SELECT count(*) FROM a), (SELECT 1 FROM ONLY b) FROM (VALUES (1), (2)) v(x)", {"a", "b"}),
        ("TABLE only_this", {"only_this"}),
        ("SELECT 'FROM x', $$ FROM y $$, e'FROM v' -- FROM w\nFROM z", {"z"}),
        ("SELECT 1 FROM ROWS FROM (f(1)) AS r, t", {"t"}),
        ("SELECT a, b FROM t GROUP BY a, b HAVING count(*) > .5 LIMIT 3", {"t"}),
    ],
)  # fmt: skip
def test_tables_that_a_query_reads(sql: str, names: set[str]) -> None:
    assert {str(relation) for relation in relations_in(sql)} == names


def test_functions_that_a_query_calls() -> None:
    assert functions_in("SELECT pg_database_size('f(x)'), Count(*) FROM a WHERE b IN (1)") >= {
        "pg_database_size",
        "count",
    }


def test_every_probe_of_a_technology_with_permissions_says_what_it_needs() -> None:
    from healthd.probes.aws.operations import Guarded as AskingAws
    from healthd.probes.aws.probe import AwsProbe
    from healthd.probes.kubernetes.access import Guarded
    from healthd.probes.postgres.grants import Granted

    for kind, probe in PROBES.items():
        assert isinstance(probe, Guarded) or not kind.startswith("kubernetes_"), kind
        assert isinstance(probe, Granted) or not kind.startswith("postgres"), kind
        assert isinstance(probe, AskingAws) or not isinstance(probe, AwsProbe), kind
