"""The `kubernetes_events` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator

from healthd.model.catalogue import Threshold
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import Kind, list_everywhere, list_rules
from healthd.probes.kubernetes.params import ClusterParams, Names, Namespaces, listed_names, matcher
from healthd.probes.kubernetes.values import ago, moment
from healthd.probes.patterns import regular_expression, search_all

__all__ = ["KubernetesEventsProbe"]

_NONE: Mapping[str, Any] = {}
_SHOWN, _NAMED = 20, 5
Pattern = Annotated[str, AfterValidator(regular_expression)]


class Event(NamedTuple):
    """What is kept of an event. `last` is when it was last seen, `times` how often since `first`."""

    namespace: str
    labels: Mapping[str, str]
    type: str
    reason: str
    object: str
    message: str
    first: datetime | None
    last: datetime | None
    times: int


def _read(item: dict[str, Any]) -> Event:
    metadata, about, series = item["metadata"], item.get("involvedObject") or _NONE, item.get("series") or _NONE
    created = moment(metadata.get("creationTimestamp"))
    first = moment(item.get("firstTimestamp")) or moment(item.get("eventTime")) or created
    return Event(
        metadata["namespace"],
        _NONE,
        item.get("type") or "Normal",
        item.get("reason") or "",
        f"{about.get('kind', '')}/{about.get('name', '')}",
        (item.get("message") or "")[:300],
        first,
        moment(series.get("lastObservedTime")) or moment(item.get("lastTimestamp")) or first,
        max(series.get("count") or 0, item.get("count") or 0, 1),
    )


EVENTS: Kind[Event] = Kind("events", ("v1",), _read)
WARNINGS: Kind[Event] = Kind("events", ("v1",), _read, query=(("fieldSelector", "type=Warning"),))


class EventsParams(ClusterParams):
    """Which events: of a type, with one of these reasons, about an object ("Pod/web-1") and with a message.

    `object` and `message` are regular expressions, found anywhere. `since`: how far back the last sighting may be.
    """

    namespace: Namespaces
    event_type: Literal["Warning", "Normal", "any"] = "Warning"
    reason: Names = ()
    object: Pattern | None = None
    message: Pattern | None = None
    since: Duration = timedelta(hours=1)


class KubernetesEventsProbe:
    """Counts events. A cluster keeps them for an hour, unless it was told otherwise."""

    Params: ClassVar[type[Params]] = EventsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "events last seen within `since`; one that is repeated is one"),
        "occurrences": MeasureInfo(Unit.COUNT, "how often they were seen, also before `since`"),
        "objects": MeasureInfo(Unit.COUNT, "different objects they are about"),
        "by_reason": MeasureInfo(Unit.COUNT, "events with that reason, a series for each"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: EventsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    def rules(self, params: EventsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return list_rules(EVENTS, listed_names(params.namespace))

    async def run(self, params: EventsParams, context: ProbeContext) -> Observation:
        """Look at the list of events; at that of warnings only, where nothing else is asked for."""
        kind = WARNINGS if params.event_type == "Warning" else EVENTS
        found: list[Event] = []
        for namespace in listed_names(params.namespace):
            found += _select((await list_everywhere(kind, params, context, namespace)).items, params, context.now)
        reasons = Counter(event.reason for event in found)
        counts = {
            "count": len(found),
            "occurrences": sum(event.times for event in found),
            "objects": len({(event.namespace, event.object) for event in found}),
        }
        measurements = [Measurement(name, float(value), Unit.COUNT) for name, value in counts.items()]
        # reasons that were asked for by name are there also when nothing happened
        named = {name: 0 for name in params.reason if not any(c in name for c in "*?[")}
        for reason, count in sorted({**named, **reasons}.items()):
            measurements.append(Measurement("by_reason", float(count), Unit.COUNT, reason))
        note = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(_NAMED))
        return Observation(tuple(measurements), _evidence(found, context), note)


def _select(events: Sequence[Event], params: EventsParams, now: datetime) -> list[Event]:
    wanted, since = matcher(params.reason), now - params.since
    found = [
        event
        for event in events
        if event.last is not None
        and event.last >= since
        and params.event_type in ("any", event.type)
        and wanted(event.reason)
    ]
    for pattern, field in ((params.object, "object"), (params.message, "message")):
        if pattern is not None:
            hits = search_all(re.compile(pattern), [getattr(event, field) for event in found])
            found = [event for event, hit in zip(found, hits, strict=True) if hit]
    return found


def _evidence(events: Sequence[Event], context: ProbeContext) -> tuple[Evidence, ...]:
    redact = Redactor()
    newest = sorted(events, key=lambda event: event.last or context.now, reverse=True)
    lines = []
    for event in newest[:_SHOWN]:
        times = f" {event.times} times" if event.times > 1 else ""
        text = redact(" ".join(event.message.split()))
        lines.append(f"{ago(event.last, context.now)}{times}, {event.object}: {event.reason}, {text}")
    return (Evidence("events", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()
