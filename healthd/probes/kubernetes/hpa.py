"""The `kubernetes_hpa` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import Kind, list_objects, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.values import age, ago, moment, quantity

__all__ = ["KubernetesHpaProbe"]

_NONE: Mapping[str, Any] = {}
_SHOWN, _NAMED = 20, 5
# how a metric's target and its current value are written, the most exact first
_VALUES = ("averageUtilization", "averageValue", "value")


class Autoscaler(NamedTuple):
    """What is kept of an HPA. `loads`: metric -> current / target; `wanted`: metric -> the utilisation it aims at."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    target: str
    least: int
    most: int
    current: int
    desired: int
    loads: Mapping[str, float]
    utilisations: Mapping[str, float]
    wanted: Mapping[str, float]
    limited: bool
    unable: str
    scaled: datetime | None


def _read(item: dict[str, Any]) -> Autoscaler:
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or _NONE
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    limited = conditions.get("ScalingLimited", _NONE)
    target = spec.get("scaleTargetRef") or _NONE
    metrics = spec.get("metrics") or ()
    loads, utilisations = _metrics(metrics, status.get("currentMetrics") or ())
    return Autoscaler(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        f"{target.get('kind', '')}/{target.get('name', '')}",
        spec.get("minReplicas", 1),
        spec["maxReplicas"],
        status.get("currentReplicas", 0),
        status.get("desiredReplicas", 0),
        loads,
        utilisations,
        _aims(metrics),
        limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas",
        _unable(conditions),
        moment(status.get("lastScaleTime")),
    )


def _unable(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """Why it cannot scale; "" when it can, or was told not to (scaled to 0)."""
    for kind in ("AbleToScale", "ScalingActive"):
        condition = conditions.get(kind, _NONE)
        if condition.get("status") == "False" and condition.get("reason") != "ScalingDisabled":
            return ": ".join(str(condition[key])[:200] for key in ("reason", "message") if condition.get(key)) or kind
    return ""


def _metrics(wanted: Sequence[Any], current: Sequence[Any]) -> tuple[dict[str, float], dict[str, float]]:
    now = {_metric_name(metric): metric for metric in current}
    loads: dict[str, float] = {}
    utilisations: dict[str, float] = {}
    for metric in wanted:
        name = _metric_name(metric)
        target, value = _part(metric).get("target") or _NONE, _part(now.get(name, _NONE)).get("current") or _NONE
        if (percent := quantity(value.get("averageUtilization"))) is not None:
            utilisations[name] = percent / 100
        for key in _VALUES:
            want, have = quantity(target.get(key)), quantity(value.get(key))
            if want and have is not None:
                loads[name] = have / want
                break
    return loads, utilisations


def _aims(wanted: Sequence[Any]) -> dict[str, float]:
    """The utilisation each metric is to be kept at, of those that have one."""
    aims = {_metric_name(metric): (_part(metric).get("target") or _NONE).get("averageUtilization") for metric in wanted}
    return {name: percent / 100 for name, aim in aims.items() if (percent := quantity(aim)) is not None}


def _part(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part named after the type: Resource -> resource, ContainerResource -> containerResource."""
    kind = str(metric.get("type", ""))
    return metric.get(kind[:1].lower() + kind[1:]) or _NONE


def _metric_name(metric: Mapping[str, Any]) -> str:
    part = _part(metric)
    name = part.get("name") or (part.get("metric") or _NONE).get("name") or ""
    return f"{part['container']}/{name}" if part.get("container") else str(name)


# servers before 1.23 have them only as a beta
AUTOSCALERS: Kind[Autoscaler] = Kind("horizontalpodautoscalers", ("autoscaling/v2", "autoscaling/v2beta2"), _read)


class HpaParams(NamespacedParams):
    """Which HorizontalPodAutoscalers, by label selector or name; globs are allowed."""


class KubernetesHpaProbe:
    """Tells whether autoscalers are at their end."""

    Params: ClassVar[type[Params]] = HpaParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("autoscalers that fit"),
        "current": counted("pods there are"),
        "desired": counted("pods it wants"),
        "min": counted("pods it keeps at least"),
        "max": counted("pods it makes at most"),
        "at_max": counted("1 when it wants all it may have, else 0"),
        "limited": counted("1 when it would want more than it may have, else 0"),
        "unable_to_scale": counted("1 when it cannot scale or has no metrics, else 0"),
        "utilisation": MeasureInfo(Unit.RATIO, "of what the pods request; a series for each metric"),
        "target_utilisation": MeasureInfo(Unit.RATIO, "at which it keeps them; a series for each metric"),
        "load": MeasureInfo(Unit.RATIO, "current / target, any kind of metric; a series for each metric"),
        "last_scale_age": MeasureInfo(Unit.SECONDS, "since it last changed the number; absent if never"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (Threshold("count", critical=parse_condition("= 0"), name="count"),)

    def measures_for(self, params: HpaParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    def rules(self, params: HpaParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return list_rules(AUTOSCALERS, params.lists)

    async def run(self, params: HpaParams, context: ProbeContext) -> Observation:
        """Look at the list of autoscalers."""
        wanted = matcher(params.name)
        found = [hpa for hpa in await list_objects(AUTOSCALERS, params, context) if wanted(hpa.name)]
        measurements = [Measurement("count", float(len(found)), Unit.COUNT)]
        if not found:
            return Observation(tuple(measurements), (), f"no HorizontalPodAutoscaler {params.which()}{params.place()}")
        for hpa in found:
            measurements += _measure(hpa, params.series(hpa), context.now)
        lines = [_describe(hpa, params.series(hpa), context.now) for hpa in found[:_SHOWN]]
        notes = [f"{params.series(hpa)} {trouble}" for hpa in found if (trouble := _trouble(hpa))]
        evidence = Evidence("autoscalers", "\n".join(lines)[: context.limits.max_evidence_chars])
        return Observation(tuple(measurements), (evidence,), ", ".join(notes[:_NAMED]))


def _measure(hpa: Autoscaler, series: str, now: datetime) -> list[Measurement]:
    counts: dict[str, float] = {
        "current": hpa.current,
        "desired": hpa.desired,
        "min": hpa.least,
        "max": hpa.most,
        "at_max": hpa.desired >= hpa.most,
        "limited": hpa.limited,
        "unable_to_scale": bool(hpa.unable),
    }
    found = [Measurement(name, float(value), Unit.COUNT, series) for name, value in counts.items()]
    found += [Measurement("utilisation", v, Unit.RATIO, f"{series}/{name}") for name, v in hpa.utilisations.items()]
    found += [Measurement("target_utilisation", v, Unit.RATIO, f"{series}/{name}") for name, v in hpa.wanted.items()]
    found += [Measurement("load", value, Unit.RATIO, f"{series}/{name}") for name, value in hpa.loads.items()]
    if (seconds := age(hpa.scaled, now)) is not None:
        found.append(Measurement("last_scale_age", seconds, Unit.SECONDS, series))
    return found


def _trouble(hpa: Autoscaler) -> str:
    if hpa.unable:
        return f"cannot scale ({hpa.unable.partition(':')[0]})"
    if hpa.limited or hpa.desired >= hpa.most:
        return f"is at its maximum of {hpa.most}" + (" and wants more" if hpa.limited else "")
    return ""


def _describe(hpa: Autoscaler, series: str, now: datetime) -> str:
    parts = [f"{hpa.target}, {hpa.current} pods, wants {hpa.desired} of {hpa.least} to {hpa.most}"]
    parts += [f"{name} at {load * 100:.0f}% of its target" for name, load in hpa.loads.items()]
    if hpa.scaled is not None:
        parts.append(f"last scaled {ago(hpa.scaled, now)}")
    return f"{series}: {', '.join(parts)}" + (f", {hpa.unable}" if hpa.unable else "")
