"""The `prometheus_alerts` probe: which alerts fire. See docs/probes/prometheus_alerts.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, WithJsonSchema

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.prometheus.api import ask
from healthd.probes.prometheus.firing import Alert, from_alertmanager, from_prometheus, rule_names
from healthd.probes.prometheus.matchers import Matcher, all_hold, read_matchers

_SHOWN = 20
# where Grafana has what its own alerting shares with Alertmanager and Prometheus
_GRAFANA_ALERTS, _GRAFANA_RULES = "/api/alertmanager/grafana", "/api/prometheus/grafana"
_NAMED = 5
_GLOB = "*?["
_UNREADABLE = (KeyError, TypeError, AttributeError, ValueError)

Matchers = Annotated[
    tuple[Matcher, ...],
    BeforeValidator(read_matchers),
    WithJsonSchema({"type": ["array", "object", "string"], "items": {"type": "string"}}),
]


class AlertsParams(ApiParams):
    """Parameters of the `prometheus_alerts` probe."""

    source: Literal["prometheus", "alertmanager", "grafana"] = "prometheus"
    names: tuple[str, ...] = ()
    match: Matchers = ()
    include_silenced: bool = False

    def wants(self, alert: Alert) -> bool:
        """Whether it is one of those asked for."""
        named = not self.names or any(fnmatchcase(alert.name, name) for name in self.names)
        return named and all_hold(self.match, alert.labels)

    @property
    def exact_names(self) -> tuple[str, ...]:
        """The names without wildcards."""
        return tuple(name for name in self.names if not any(c in name for c in _GLOB))


class PrometheusAlertsProbe:
    """How many alerts fire, and which."""

    Params: ClassVar[type[Params]] = AlertsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "firing": MeasureInfo(Unit.COUNT, "alerts firing: in all, and one series per alert name"),
        "pending": MeasureInfo(Unit.COUNT, "alerts whose `for` has not passed yet: likewise (Prometheus only)"),
        "undefined": MeasureInfo(Unit.COUNT, "names asked for of which there is no rule: they can never fire"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("firing", critical=parse_condition("> 0"), name="firing"),
        Threshold("undefined", warning=parse_condition("> 0"), name="undefined", missing=Level.OK),
    )

    def measures_for(self, params: AlertsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: AlertsParams, context: ProbeContext) -> Observation:
        """Ask once. A server that cannot be asked is a ProbeError."""
        alerts = [alert for alert in await _alerts(params, context) if params.wants(alert)]
        undefined = await _undefined(params, context)
        measurements = _count("firing", alerts, params)
        if params.source == "prometheus":
            measurements += _count("pending", alerts, params)
        if params.source != "alertmanager" and params.exact_names:
            measurements.append(Measurement("undefined", float(len(undefined)), Unit.COUNT))
        return Observation(tuple(measurements), _evidence(params, alerts, context), _note(alerts, undefined))


async def _alerts(params: AlertsParams, context: ProbeContext) -> list[Alert]:
    try:
        if params.source == "prometheus":
            return from_prometheus(await ask(params, "/api/v1/alerts", {}, context))
        suppressed = "true" if params.include_silenced else "false"
        form = {"active": "true", "silenced": suppressed, "inhibited": suppressed, "unprocessed": "true"}
        prefix = _GRAFANA_ALERTS if params.source == "grafana" else ""
        return from_alertmanager(await ask(params, f"{prefix}/api/v2/alerts", form, context))
    except _UNREADABLE:
        raise ProbeError(
            f"{params.url} did not answer with a list of alerts: is it {params.source}?", "protocol"
        ) from None


async def _undefined(params: AlertsParams, context: ProbeContext) -> list[str]:
    """Names that no rule has: a misspelt one would be quiet for ever."""
    if params.source == "alertmanager" or not params.exact_names:
        return []
    prefix = _GRAFANA_RULES if params.source == "grafana" else ""
    try:
        known = rule_names(await ask(params, f"{prefix}/api/v1/rules", {"type": "alert"}, context))
    except _UNREADABLE:
        raise ProbeError(f"{params.url} did not answer with a list of rules", "protocol") from None
    return [name for name in params.exact_names if name not in known]


def _count(state: str, alerts: list[Alert], params: AlertsParams) -> list[Measurement]:
    """In all, and per name; the names asked for are there even when quiet."""
    names = Counter(dict.fromkeys(params.exact_names, 0))
    names.update(alert.name for alert in alerts if alert.state == state)
    total = Measurement(state, float(names.total()), Unit.COUNT)
    return [total, *(Measurement(state, float(count), Unit.COUNT, name) for name, count in sorted(names.items()))]


def _note(alerts: list[Alert], undefined: list[str]) -> str:
    firing = sorted({alert.name for alert in alerts if alert.state == "firing"})
    more = f" and {len(firing) - _NAMED} more" if len(firing) > _NAMED else ""
    notes = [f"firing: {', '.join(firing[:_NAMED])}{more}"] if firing else []
    if undefined:
        notes.append(f"no rule is called {' or '.join(undefined[:_NAMED])}")
    return "; ".join(notes)


def _evidence(params: AlertsParams, alerts: list[Alert], context: ProbeContext) -> tuple[Evidence, ...]:
    if not alerts:
        return ()
    ordered = sorted(alerts, key=lambda alert: (alert.state, alert.name))
    lines: list[Any] = [alert.line(context.now) for alert in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines.append(f"and {len(ordered) - _SHOWN} more")
    return (Evidence("alerts", params.redact("\n".join(lines))[: context.limits.max_evidence_chars]),)
