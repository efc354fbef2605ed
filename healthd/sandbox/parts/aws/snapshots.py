"""RDS' snapshots: moto makes none by itself, and none of an age."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any


class Snapshots:
    """Answers DescribeDBSnapshots for the instances whose snapshots were put here."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ages: dict[str, list[float]] = {}

    def put(self, instance: str, ages: list[float]) -> None:
        """The automated snapshots of an instance, as old (seconds) as they are to stay."""
        self._ages[instance] = ages

    def knows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether they are those of an instance here; what was made by hand is moto's to tell."""
        return (
            parameters.get("DBInstanceIdentifier") in self._ages
            and parameters.get("SnapshotType", "automated") == "automated"
        )

    def describe_db_snapshots(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All of them, complete."""
        instance = parameters["DBInstanceIdentifier"]
        moments = [self._clock() - timedelta(seconds=age) for age in self._ages[instance]]
        return {"DBSnapshots": [_described(instance, moment) for moment in moments]}


def _described(instance: str, moment: datetime) -> dict[str, Any]:
    name = f"rds:{instance}-{moment:%Y-%m-%d-%H-%M}"
    return {
        "DBSnapshotIdentifier": name,
        "DBSnapshotArn": f"arn:aws:rds:us-east-1:123456789012:snapshot:{name}",
        "DBInstanceIdentifier": instance,
        "SnapshotCreateTime": moment,
        "Status": "available",
        "SnapshotType": "automated",
        "Engine": "postgres",
        "AllocatedStorage": 100,
        "PercentProgress": 100,
        "Encrypted": True,
    }
