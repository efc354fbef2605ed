"""RDS against moto: instances and their snapshots; log files against the documented answers, which moto lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def deny(_: dict[str, Any]) -> dict[str, Any]:
    raise Refusal("AccessDenied", "not authorized", 403)


@pytest.fixture
def instance(moto: MotoServer) -> str:
    moto.client("rds").create_db_instance(
        DBInstanceIdentifier="db", DBInstanceClass="db.t3.small", Engine="postgres", EngineVersion="15.4",
        AllocatedStorage=20, MultiAZ=True, BackupRetentionPeriod=7, StorageEncrypted=True,
    )  # fmt: skip
    moto.answers["rds", "DescribePendingMaintenanceActions"] = lambda _: {"PendingMaintenanceActions": []}
    return "db"


@pytest.mark.probe("rds_instance")
async def test_an_instance(instance: str, through: Through) -> None:
    found = values(await (await through("rds_instance"))(instance=instance))
    assert (found["available"], found["status"], found["multi_az"]) == (1, "available", 1)
    assert (found["backup_retention"], found["storage_encrypted"], found["deletion_protection"]) == (7, 1, 0)
    assert (found["engine_version"], found["instance_class"]) == ("15.4", "db.t3.small")
    assert found["storage_bytes"] == 20 * 2**30
    assert "latest_restorable_age" in found


async def test_an_instance_that_does_not_serve(moto: MotoServer, instance: str, through: Through) -> None:
    moto.client("rds").stop_db_instance(DBInstanceIdentifier=instance)
    observation = await (await through("rds_instance"))(instance=instance)
    assert (values(observation)["available"], observation.note) == (0, "stopped")


async def test_whether_it_serves_is_told_without_the_rest(moto: MotoServer, instance: str, through: Through) -> None:
    moto.answers["rds", "DescribePendingMaintenanceActions"] = deny
    moto.answers["cloudwatch", "GetMetricData"] = deny
    observation = await (await through("rds_instance"))(instance=instance, storage=True)
    found = values(observation)
    assert (found["available"], "pending_maintenance" in found, "storage_free_bytes" in found) == (1, False, False)
    told = ("no maintenance: forbidden: needs rds:DescribePendingMaintenanceActions", "no storage: forbidden: needs")
    assert all(words in observation.note for words in (*told, "cloudwatch:GetMetricData"))
    del moto.answers["rds", "DescribePendingMaintenanceActions"]  # moto's own answer: a page
    observation = await (await through("rds_instance"))(instance=instance)
    assert values(observation)["available"] == 1
    assert observation.note.startswith("no maintenance: ")


async def test_what_only_rds_tells(moto: MotoServer, through: Through) -> None:
    moto.answers["rds", "DescribeDBInstances"] = lambda _: {
        "DBInstances": [
            {
                "DBInstanceIdentifier": "db", "DBInstanceStatus": "backing-up", "AllocatedStorage": 100,
                "DBInstanceArn": "arn:aws:rds:eu-central-1:123456789012:db:db", "MaxAllocatedStorage": 500,
                "LatestRestorableTime": NOW - timedelta(minutes=5),
                "CertificateDetails": {"ValidTill": NOW + timedelta(days=40)}, "CACertificateIdentifier": "rds-ca",
                "PendingModifiedValues": {"MasterUserPassword": "hunter2", "AllocatedStorage": 200},
                "ReadReplicaDBInstanceIdentifiers": ["a", "b"], "StatusInfos": [{"Normal": False}],
                "DBInstanceAutomatedBackupsReplications": [{"DBInstanceAutomatedBackupsArn": "arn"}],
            }
        ]
    }  # fmt: skip
    due = {"Action": "system-update", "Description": "New operating system"}
    moto.answers["rds", "DescribePendingMaintenanceActions"] = lambda _: {
        "PendingMaintenanceActions": [{"ResourceIdentifier": "arn", "PendingMaintenanceActionDetails": [due]}]
    }
    free = {"Id": "q0", "Label": "x", "Timestamps": [NOW - timedelta(minutes=2)], "Values": [10.0 * 2**30]}
    moto.answers["cloudwatch", "GetMetricData"] = lambda _: {"MetricDataResults": [{**free, "StatusCode": "Complete"}]}
    look = await through("rds_instance")
    look.looker.now = NOW
    observation = await look(instance="db", storage=True)
    found = values(observation)
    assert (found["available"], found["latest_restorable_age"], found["certificate_days_left"]) == (1, 300, 40)
    assert (found["pending_maintenance"], found["pending_changes"], found["replicas"]) == (1, 2, 2)
    assert (found["standbys_ok"], found["backup_replications"]) == (0, 1)
    assert (found["storage_free_ratio"], found["storage_max_bytes"]) == (0.1, 500 * 2**30)
    assert evidence(observation, "Maintenance due") == "system-update: New operating system"
    assert "hunter2" not in str(observation)


@pytest.mark.probe_failure("rds_instance")
async def test_no_such_instance(moto: MotoServer, through: Through) -> None:
    with pytest.raises(ProbeError, match="there is no RDS instance 'none' in eu-central-1") as caught:
        await (await through("rds_instance"))(instance="none")
    assert caught.value.kind == "missing"


async def test_checks_of_one_run_share_what_they_ask(moto: MotoServer, instance: str, through: Through) -> None:
    look = await through("rds_instance")
    for _ in range(3):
        await look.looker(endpoint_url=moto.url, region="eu-central-1", instance=instance)
    assert moto.count("rds", "DescribeDBInstances") == 1


# -- snapshots -----------------------------------------------------------------------------------------------------


async def test_snapshots_that_are_there(moto: MotoServer, instance: str, through: Through) -> None:
    for name in ("one", "two"):
        moto.client("rds").create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=name)
    look = await through("rds_snapshots")
    found = values(await look(instance=instance))
    assert (found["manual_count"], found["failed"], found["newest_status"]) == (2, 0, "available")
    assert found["newest_manual_age"] < 60
    assert values(await look(instance=instance, kind="automated"))["manual_count"] == 0


def snapshot(name: str, days: float, status: str = "available", kind: str = "automated") -> dict[str, Any]:
    made = {} if status == "creating" else {"SnapshotCreateTime": NOW - timedelta(days=days)}
    return {"DBSnapshotIdentifier": name, "Status": status, "SnapshotType": kind, "Encrypted": True, **made}


@pytest.mark.probe("rds_snapshots")
async def test_ages_of_snapshots_in_pages(moto: MotoServer, through: Through) -> None:
    pages = {
        None: {"DBSnapshots": [snapshot("a", 3), snapshot("b", 0, "creating")], "Marker": "2"},
        "2": {"DBSnapshots": [snapshot("c", 1), snapshot("d", 0.5, "failed"), snapshot("e", 2, kind="manual")]},
    }
    moto.answers["rds", "DescribeDBSnapshots"] = lambda asked: pages[asked.get("Marker")]
    look = await through("rds_snapshots")
    look.looker.now = NOW
    assert values(await look(instance="db")) == {
        "count": 3, "automated_count": 2, "manual_count": 1, "newest_age": 86400, "newest_automated_age": 86400,
        "newest_manual_age": 2 * 86400, "oldest_age": 3 * 86400, "creating": 1, "failed": 1, "unencrypted": 0,
        "newest_status": "creating",
    }  # fmt: skip


async def test_no_snapshot_is_an_answer(moto: MotoServer, through: Through) -> None:
    observation = await (await through("rds_snapshots"))(cluster="none")
    assert values(observation)["count"] == 0
    assert "newest_age" not in values(observation)
    assert observation.note == "no snapshots of none"


@pytest.mark.probe_failure("rds_snapshots")
async def test_snapshots_that_may_not_be_listed(moto: MotoServer, through: Through) -> None:
    moto.answers["rds", "DescribeDBSnapshots"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs rds:DescribeDBSnapshots"):
        await (await through("rds_snapshots"))(instance="db")


# -- log files -----------------------------------------------------------------------------------------------------

LOG = """\
2026-03-10 09:00:00 UTC::@:[1]:LOG:  duration: 99000.0 ms  statement: too long ago
2026-03-10 11:30:00 UTC::@:[1]:LOG:  duration: 1500.5 ms  statement: SELECT 1 WHERE password='hunter2'
\tand this belongs to it
2026-03-10 11:40:00 UTC::@:[1]:ERROR:  deadlock detected
2026-03-10 11:50:00 UTC::@:[1]:LOG:  duration: 20 ms  statement: SELECT 2
"""


def serve_log(moto: MotoServer, text: str, portion: int = 100) -> None:
    """A log file given out in portions that end in the middle of lines."""

    def download(asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked["Marker"])
        end = min(start + portion, len(text))
        return {"LogFileData": text[start:end], "Marker": str(end), "AdditionalDataPending": end < len(text)}

    written = int((NOW - timedelta(minutes=10)).timestamp() * 1000)
    moto.answers["rds", "DescribeDBLogFiles"] = lambda _: {
        "DescribeDBLogFiles": [
            {"LogFileName": "error/postgresql.log.11", "LastWritten": written, "Size": len(text)},
            {"LogFileName": "trace/alert.log", "LastWritten": written, "Size": 5},
        ]
    }
    moto.answers["rds", "DownloadDBLogFilePortion"] = download


@pytest.mark.probe("rds_logs")
async def test_lines_and_slow_queries_of_the_last_hour(moto: MotoServer, through: Through) -> None:
    serve_log(moto, LOG)
    look = await through("rds_logs")
    look.looker.now = NOW
    observation = await look(instance="db", files="error/*", pattern="ERROR", slow="1s")
    assert values(observation) == {
        "files": 1, "lines": 4, "count": 1, "slow_queries": 1, "slowest": 1.5005, "bytes": len(LOG), "complete": 1
    }  # fmt: skip
    assert "deadlock detected" in evidence(observation, "Last lines")
    assert "hunter2" not in str(observation)
    assert moto.count("rds", "DownloadDBLogFilePortion") == 4


async def test_the_slow_log_of_mysql(moto: MotoServer, through: Through) -> None:
    serve_log(moto, "# Time: 2026-03-10T11:30:00.1Z\n# Query_time: 2.5  Lock_time: 0.0\nSELECT 1;\n")
    look = await through("rds_logs")
    look.looker.now = NOW
    found = values(await look(instance="db", files="error/*", slow="2s"))
    assert (found["slow_queries"], found["slowest"]) == (1, 2.5)


async def test_reading_stops_at_max_bytes(moto: MotoServer, through: Through) -> None:
    serve_log(moto, "2026-03-10 11:50:00 UTC:LOG: x\n" * 1000, 1000)
    look = await through("rds_logs")
    look.looker.now = NOW
    observation = await look(instance="db", files="error/*", max_bytes=3000)
    assert (values(observation)["complete"], values(observation)["bytes"]) == (0, 3000)
    assert observation.note == "stopped at max_bytes"


@pytest.mark.probe_failure("rds_logs")
async def test_log_files_that_may_not_be_read(moto: MotoServer, through: Through) -> None:
    serve_log(moto, LOG)
    moto.answers["rds", "DownloadDBLogFilePortion"] = deny
    look = await through("rds_logs")
    look.looker.now = NOW
    with pytest.raises(ProbeError, match=r"needs rds:DownloadDBLogFilePortion on arn:aws:rds:\*:\*:db:db"):
        await look(instance="db")


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("rds_instance", {}, "Field required"),
        ("rds_snapshots", {}, "name an instance or a cluster"),
        ("rds_logs", {"instance": "db", "pattern": "("}, "not a regular expression"),
    ],
)
def test_parameters_that_make_no_sense(kind: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES[kind].Params(**params)
    assert message in str(caught.value)
