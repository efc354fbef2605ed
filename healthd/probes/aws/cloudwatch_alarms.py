"""`cloudwatch_alarms`: which alarms of CloudWatch are on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation

ALARMS = Operation("cloudwatch", "describe_alarms", "cloudwatch:DescribeAlarms")
_SHOWN = 10


class CloudWatchAlarmsParams(AwsParams):
    """Which alarms: `names` are exact or globs; `ignore` leaves some of them out again."""

    names: Names = ()
    ignore: Names = ()
    composite: bool = Field(True, description="count composite alarms too")

    @property
    def required(self) -> tuple[str, ...]:
        """Names that are no globs: their alarms have to be there."""
        return tuple(name for name in self.names if not set(name) & set("*?["))


class CloudWatchAlarmsProbe(AwsProbe):
    """Counts by state."""

    Params: ClassVar[type[base.Params]] = CloudWatchAlarmsParams
    operations: ClassVar[tuple[Operation, ...]] = (ALARMS,)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_count", critical=parse_condition("> 0"), missing=Level.OK, name="missing_count"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("alarms looked at"),
        "alarm": count_of("in state ALARM"),
        "insufficient_data": count_of("in state INSUFFICIENT_DATA"),
        "ok": count_of("in state OK"),
        "actions_disabled": count_of("that would tell nobody: their actions are switched off"),
        "longest_alarm": MeasureInfo(Unit.SECONDS, "how long the oldest has been in ALARM; 0 without one"),
        "missing_count": count_of("alarms named exactly that are not there; with names"),
    }

    async def look(self, params: CloudWatchAlarmsParams, aws: Asker) -> Observation:
        """List all alarms; which of them matter is decided here, so that checks can share the list."""
        pages = await aws.pages(ALARMS, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        kinds = ("MetricAlarms", "CompositeAlarms") if params.composite else ("MetricAlarms",)
        listed = [alarm for page in pages for kind in kinds for alarm in page.get(kind, ())]
        wanted = [a for a in listed if fits(a["AlarmName"], params.names) and not _ignored(a, params)]
        missing = set(params.required) - {alarm["AlarmName"] for alarm in wanted}
        states = Counter(alarm.get("StateValue") for alarm in wanted)
        ringing = sorted((a for a in wanted if a.get("StateValue") == "ALARM"), key=lambda a: -_since(a, aws))
        found: dict[str, float | str | None] = {
            "count": len(wanted),
            "alarm": states["ALARM"],
            "insufficient_data": states["INSUFFICIENT_DATA"],
            "ok": states["OK"],
            "actions_disabled": sum(not alarm.get("ActionsEnabled", True) for alarm in wanted),
            "longest_alarm": _since(ringing[0], aws) if ringing else 0.0,
            "missing_count": len(missing) if params.required else None,
        }
        lines = [
            f"{a['AlarmName']} for {format_duration(round(_since(a, aws)))}: {a.get('StateReason', '')}"[:300]
            for a in ringing[:_SHOWN]
        ]
        evidence = (Evidence("In alarm", "\n".join(lines)),) if lines else ()
        names = [alarm["AlarmName"] for alarm in ringing] + [f"no alarm {name}" for name in sorted(missing)]
        return Observation(self.measured(found), evidence, ", ".join(names[:5]))


def _ignored(alarm: Mapping[str, Any], params: CloudWatchAlarmsParams) -> bool:
    return bool(params.ignore) and fits(alarm["AlarmName"], params.ignore)


def _since(alarm: Mapping[str, Any], aws: Asker) -> float:
    # the first says when the state changed, the second also when only its reason did
    return age(alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"), aws.now) or 0.0
