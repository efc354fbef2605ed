"""`cloudwatch_log_groups`: how long log groups keep their events, how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit, format_value
from healthd.probes import base
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation

GROUPS = Operation("logs", "describe_log_groups", "logs:DescribeLogGroups", "logGroups", "arn:aws:logs:*:*:log-group:*")
_SHOWN = 10


class CloudWatchLogGroupsParams(AwsParams):
    """Which log groups: `names` are exact or globs."""

    names: Names = ()


class CloudWatchLogGroupsProbe(AwsProbe):
    """Looks at the groups, not at their events."""

    Params: ClassVar[type[base.Params]] = CloudWatchLogGroupsParams
    operations: ClassVar[tuple[Operation, ...]] = (GROUPS,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("log groups"),
        "kept_for_ever": count_of("of them without a retention: they only ever grow"),
        "shortest_retention": MeasureInfo(Unit.DAYS, "absent when all are kept for ever"),
        "longest_retention": MeasureInfo(Unit.DAYS, "of those that have one; absent when none has"),
        "stored_bytes": MeasureInfo(Unit.BYTES, "of all together, compressed"),
        "largest_bytes": MeasureInfo(Unit.BYTES, "of the largest; absent without any"),
    }

    async def look(self, params: CloudWatchLogGroupsParams, aws: Asker) -> Observation:
        """List all; which of them matter is decided here, so that checks can share the list."""
        groups = [group for group in await aws.items(GROUPS) if fits(group["logGroupName"], params.names)]
        kept = [group["retentionInDays"] for group in groups if group.get("retentionInDays")]
        sizes = [group.get("storedBytes", 0) for group in groups]
        found: dict[str, float | str | None] = {
            "count": len(groups),
            "kept_for_ever": len(groups) - len(kept),
            "shortest_retention": min(kept, default=None),
            "longest_retention": max(kept, default=None),
            "stored_bytes": sum(sizes),
            "largest_bytes": max(sizes, default=None),
        }
        ranked = sorted(groups, key=lambda group: -group.get("storedBytes", 0))[:_SHOWN]
        lines = [
            f"{g['logGroupName']}: {format_value(float(g.get('storedBytes', 0)), Unit.BYTES)},"
            f" kept {g['retentionInDays']} days" if g.get("retentionInDays") else
            f"{g['logGroupName']}: {format_value(float(g.get('storedBytes', 0)), Unit.BYTES)}, kept for ever"
            for g in ranked
        ]  # fmt: skip
        evidence = (Evidence("Largest log groups", "\n".join(lines)),) if lines else ()
        return Observation(self.measured(found), evidence, "" if groups else "no log group of that name")
