"""The `datadog_monitors` probe: which monitors alert. See docs/probes/datadog.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, OneOrMany, Params, ProbeContext
from healthd.probes.datadog.api import DatadogParams, ask

_PAGE, _PAGES_MAX = 200, 25
_SHOWN, _NAMED = 20, 5
_STATES = {"alerting": "Alert", "warning": "Warn", "no_data": "No Data"}


class MonitorsParams(DatadogParams):
    """Parameters of the `datadog_monitors` probe."""

    tags: OneOrMany = ()
    monitor_tags: OneOrMany = ()
    names: OneOrMany = ()
    include_muted: bool = False


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor. `state` is in Datadog's words."""

    number: int
    name: str
    state: str
    muted: bool


class DatadogMonitorsProbe:
    """How many monitors alert, and which."""

    Params: ClassVar[type[Params]] = MonitorsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "monitors": MeasureInfo(Unit.COUNT, "monitors looked at"),
        "alerting": MeasureInfo(Unit.COUNT, "monitors in the state Alert: in all, and one series for each"),
        "warning": MeasureInfo(Unit.COUNT, "monitors in the state Warn: likewise"),
        "no_data": MeasureInfo(Unit.COUNT, "monitors in the state No Data: likewise"),
        "muted": MeasureInfo(Unit.COUNT, "monitors left out because they are muted"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("alerting", critical=parse_condition("> 0"), name="alerting"),
        Threshold("warning", warning=parse_condition("> 0"), name="warning"),
    )

    def measures_for(self, params: MonitorsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: MonitorsParams, context: ProbeContext) -> Observation:
        """Ask once, page by page. A Datadog that cannot be asked is a ProbeError."""
        every = [monitor for monitor in await _monitors(params, context) if _wanted(params, monitor)]
        heard = [monitor for monitor in every if params.include_muted or not monitor.muted]
        measurements = [
            Measurement("monitors", float(len(heard)), Unit.COUNT),
            Measurement("muted", float(len(every) - len(heard)), Unit.COUNT),
        ]
        for measure, state in _STATES.items():
            names = sorted({monitor.name for monitor in heard if monitor.state == state})
            count = sum(monitor.state == state for monitor in heard)
            measurements.append(Measurement(measure, float(count), Unit.COUNT))
            measurements += [Measurement(measure, 1.0, Unit.COUNT, name) for name in names[:_SHOWN]]
        bad = sorted((m for m in heard if m.state in _STATES.values()), key=lambda m: (m.state, m.name))
        lines = [f"{m.state}: {m.name} ({m.number})" for m in bad[:_SHOWN]]
        if len(bad) > _SHOWN:
            lines.append(f"and {len(bad) - _SHOWN} more")
        evidence = (Evidence("monitors", params.redact("\n".join(lines))),) if lines else ()
        return Observation(tuple(measurements), evidence, params.redact(_note(params, heard, bad)))


async def _monitors(params: MonitorsParams, context: ProbeContext) -> list[Monitor]:
    found: list[Monitor] = []
    for page in range(_PAGES_MAX):
        form = {"page": str(page), "page_size": str(_PAGE), "with_downtimes": "true"}
        if params.tags:
            form["tags"] = ",".join(params.tags)
        if params.monitor_tags:
            form["monitor_tags"] = ",".join(params.monitor_tags)
        answer = await ask(params, "/api/v1/monitor", form, context, "monitors_read")
        try:
            found += [_monitor(item) for item in answer]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProbeError(
                f"{params.url} did not answer with a list of monitors: is it Datadog?", "protocol"
            ) from None
        if len(answer) < _PAGE:
            return found
    raise ProbeError(f"there are more than {_PAGE * _PAGES_MAX} monitors: choose some by tags", "limit")


def _monitor(item: Mapping[str, Any]) -> Monitor:
    silenced = (item.get("options") or {}).get("silenced") or {}
    # "*" is the whole monitor; other scopes are muted for themselves, and their groups are not in its state
    muted = "*" in silenced or bool(item.get("matching_downtimes"))
    return Monitor(int(item["id"]), str(item["name"]), str(item["overall_state"]), muted)


def _wanted(params: MonitorsParams, monitor: Monitor) -> bool:
    return not params.names or any(fnmatchcase(monitor.name, name) for name in params.names)


def _note(params: MonitorsParams, heard: list[Monitor], bad: list[Monitor]) -> str:
    if not heard:
        return "no monitor is like that"
    alerting = [monitor.name for monitor in bad if monitor.state == _STATES["alerting"]]
    more = f" and {len(alerting) - _NAMED} more" if len(alerting) > _NAMED else ""
    return f"alerting: {', '.join(alerting[:_NAMED])}{more}" if alerting else ""
