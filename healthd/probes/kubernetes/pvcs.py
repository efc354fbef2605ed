"""The `kubernetes_pvcs` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit, format_value
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import list_everywhere, list_objects, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.node_summary import SUMMARY_RULE, Filled, summaries
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.pod_facts import PODS
from healthd.probes.kubernetes.pvc_facts import CLAIMS, Claim
from healthd.probes.kubernetes.values import age, ago

__all__ = ["KubernetesPvcsProbe"]

_SHOWN, _NAMED = 20, 5
_Usage = Mapping[tuple[str, str], Filled]


class PvcsParams(NamespacedParams):
    """Which claims. `usage` asks the kubelets of the nodes that have them mounted how full they are."""

    usage: bool = False


class KubernetesPvcsProbe:
    """Tells which volumes are bound and, with `usage`, how full they are."""

    Params: ClassVar[type[Params]] = PvcsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("claims that fit"),
        "bound": counted("that have a volume"),
        "pending": counted("that wait for one"),
        "lost": counted("whose volume is gone"),
        "oldest_pending_age": MeasureInfo(Unit.SECONDS, "how long the oldest pending claim has waited; 0 without one"),
        "size": MeasureInfo(Unit.BYTES, "as given, else as asked for; a series for each"),
        "used_ratio": MeasureInfo(Unit.RATIO, "with usage: used / capacity, a series for each that is mounted"),
        "used_bytes": MeasureInfo(Unit.BYTES, "with usage: likewise"),
        "inodes_used_ratio": MeasureInfo(Unit.RATIO, "with usage: likewise, where there is a number of them"),
        "unmeasured": counted("with usage: bound claims that no running pod has mounted, or whose node kept silent"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("count", critical=parse_condition("= 0"), name="count"),
        Threshold("lost", critical=parse_condition("> 0"), name="lost"),
    )

    def measures_for(self, params: PvcsParams) -> Mapping[str, MeasureInfo]:
        """Those of usage only when it is asked for."""
        return {k: v for k, v in self.measures.items() if params.usage or not v.help.startswith("with usage")}

    def rules(self, params: PvcsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        rules = list_rules(CLAIMS, params.lists)
        return (*rules, *list_rules(PODS, params.lists), SUMMARY_RULE) if params.usage else rules

    async def run(self, params: PvcsParams, context: ProbeContext) -> Observation:
        """Look at the list of claims; with `usage` at the kubelets of the nodes that have them mounted."""
        wanted = matcher(params.name)
        claims = [claim for claim in await list_objects(CLAIMS, params, context) if wanted(claim.name)]
        usage, silent = await _usage(claims, params, context) if params.usage else ({}, [])
        measurements = _totals(claims, context.now)
        for claim in claims:
            measurements += _measure(claim, params.series(claim), usage)
        if params.usage:
            bound = [claim for claim in claims if claim.phase == "Bound"]
            unmeasured = sum((claim.namespace, claim.name) not in usage for claim in bound)
            measurements.append(Measurement("unmeasured", float(unmeasured), Unit.COUNT))
        if not claims:
            return Observation(tuple(measurements), (), f"no PersistentVolumeClaim {params.which()}{params.place()}")
        bad = [f"{params.series(claim)} {claim.phase}" for claim in claims if claim.phase != "Bound"]
        return Observation(
            tuple(measurements), _evidence(claims, usage, params, context), ", ".join([*bad[:_NAMED], *silent[:_NAMED]])
        )


async def _usage(
    claims: Sequence[Claim], params: PvcsParams, context: ProbeContext
) -> tuple[dict[tuple[str, str], Filled], list[str]]:
    """How full they are, and why some nodes did not say."""
    wanted = {(claim.namespace, claim.name) for claim in claims}
    nodes: set[str] = set()
    for namespace in params.lists:
        for pod in (await list_everywhere(PODS, params, context, namespace)).items:
            if pod.phase == "Running" and pod.node and any((pod.namespace, c) in wanted for c in pod.claims):
                nodes.add(pod.node)
    found, silent = await summaries(nodes, params, context)
    volumes = {key: filled for summary in found.values() for key, filled in summary.volumes.items() if key in wanted}
    return volumes, silent


def _totals(claims: Sequence[Claim], now: datetime) -> list[Measurement]:
    phases = [claim.phase for claim in claims]
    waiting = [age(claim.created, now) or 0.0 for claim in claims if claim.phase == "Pending"]
    counts = {"count": len(claims), **{name: phases.count(name.title()) for name in ("bound", "pending", "lost")}}
    found = [Measurement(name, float(value), Unit.COUNT) for name, value in counts.items()]
    return [*found, Measurement("oldest_pending_age", max(waiting, default=0.0), Unit.SECONDS)]


def _measure(claim: Claim, series: str, usage: _Usage) -> list[Measurement]:
    found = [Measurement("size", claim.size, Unit.BYTES, series)] if claim.size is not None else []
    filled = usage.get((claim.namespace, claim.name))
    if filled is not None:
        found.append(Measurement("used_ratio", filled.used / filled.capacity, Unit.RATIO, series))
        found.append(Measurement("used_bytes", filled.used, Unit.BYTES, series))
        if filled.inodes:
            found.append(Measurement("inodes_used_ratio", filled.inodes_used / filled.inodes, Unit.RATIO, series))
    return found


def _evidence(
    claims: Sequence[Claim], usage: _Usage, params: PvcsParams, context: ProbeContext
) -> tuple[Evidence, ...]:
    def fullness(claim: Claim) -> float:
        filled = usage.get((claim.namespace, claim.name))
        return filled.used / filled.capacity if filled is not None else 0.0

    ranked = sorted(claims, key=lambda claim: (claim.phase == "Bound", -fullness(claim)))
    shown = [claim for claim in ranked if claim.phase != "Bound" or fullness(claim)][:_SHOWN]
    lines = []
    for claim in shown:
        size = format_value(claim.size, Unit.BYTES) if claim.size is not None else "unknown size"
        parts = [claim.phase, size, claim.storage_class, claim.resizing]
        parts += [f"{fullness(claim) * 100:.0f}% used"] if fullness(claim) else []
        parts += [f"asked for {ago(claim.created, context.now)}"] if claim.phase == "Pending" else []
        lines.append(f"{params.series(claim)}: {', '.join(part for part in parts if part)}")
    return (Evidence("volumes", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()
