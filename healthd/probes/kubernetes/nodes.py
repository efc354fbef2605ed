"""The `kubernetes_nodes` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.listing import list_everywhere, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.node_facts import NODES, Condition, Node
from healthd.probes.kubernetes.node_summary import SUMMARY_RULE, Summary, summaries
from healthd.probes.kubernetes.params import ClusterParams, Labels, Names, matcher
from healthd.probes.kubernetes.selectors import Selector
from healthd.probes.kubernetes.values import age, ago

__all__ = ["KubernetesNodesProbe"]

PRESSURES = {
    "MemoryPressure": "memory_pressure",
    "DiskPressure": "disk_pressure",
    "PIDPressure": "pid_pressure",
    "NetworkUnavailable": "network_unavailable",
}
_SHOWN, _NAMED = 20, 5
_VERSION_MAX = 64_000  # bytes of an answer of a few hundred


class NodesParams(ClusterParams):
    """Which nodes, by label selector or name; globs are allowed. `summary` also asks each kubelet."""

    selector: Labels = Selector()
    name: Names = ()
    summary: bool = False


class KubernetesNodesProbe:
    """Counts nodes by what they say about themselves."""

    Params: ClassVar[type[Params]] = NodesParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("nodes that fit"),
        "ready": counted("that are ready"),
        "not_ready": counted("that are not, the silent ones too"),
        "ready_ratio": MeasureInfo(Unit.RATIO, "ready / count; absent without nodes"),
        "silent": counted("whose kubelet has not been heard of (Ready is Unknown)"),
        "cordoned": counted("closed to new pods"),
        "memory_pressure": counted("short of memory"),
        "disk_pressure": counted("short of disk"),
        "pid_pressure": counted("short of process ids"),
        "network_unavailable": counted("whose network is not set up"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest node joined; absent without nodes"),
        "versions": counted("different kubelet versions"),
        "version_skew": counted("minor versions the oldest kubelet is behind the API server"),
        "node_ready": counted("1 or 0, one series for each node"),
        "disk_used_ratio": MeasureInfo(Unit.RATIO, "with summary: of the kubelet's file system, a series for each"),
        "inodes_used_ratio": MeasureInfo(Unit.RATIO, "with summary: likewise"),
        "images_used_ratio": MeasureInfo(Unit.RATIO, "with summary: of the file system of images, likewise"),
        "network_received": MeasureInfo(Unit.BYTES, "with summary: since the interfaces came up, likewise"),
        "network_sent": MeasureInfo(Unit.BYTES, "with summary: likewise"),
        "network_errors": counted("with summary: likewise"),
        "unmeasured": counted("with summary: nodes whose kubelet did not answer"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("count", critical=parse_condition("= 0"), name="count"),
        Threshold("not_ready", critical=parse_condition("> 0"), name="not_ready"),
    )

    def measures_for(self, params: NodesParams) -> Mapping[str, MeasureInfo]:
        """Those of kubelets only with `summary`."""
        return {k: v for k, v in self.measures.items() if params.summary or not v.help.startswith("with summary")}

    def rules(self, params: NodesParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        rules = list_rules(NODES, [""])
        return (*rules, SUMMARY_RULE) if params.summary else rules

    async def run(self, params: NodesParams, context: ProbeContext) -> Observation:
        """Look at the list of nodes, and at the API server's version."""
        every = await list_everywhere(NODES, params, context)
        wanted = matcher(params.name)
        nodes = [node for node in every.select(params.selector) if wanted(node.name)]
        found = _measure(nodes, await _server_minor(params, context), context.now)
        measurements = [Measurement(name, float(v), self.measures[name].unit) for name, v in found.items()]
        measurements += [Measurement("node_ready", float(n.ready == "True"), Unit.COUNT, n.name) for n in nodes]
        notes = [_note(nodes) if nodes else f"no nodes fit, of {len(every.items)}"]
        if params.summary:
            told, silent = await summaries([node.name for node in nodes], params, context)
            measurements.append(Measurement("unmeasured", float(len(silent)), Unit.COUNT))
            for name, summary in told.items():
                measurements += _summarised(name, summary)
            notes += silent[:_NAMED]
        return Observation(tuple(measurements), _evidence(nodes, context), "; ".join(note for note in notes if note))


def _measure(nodes: Sequence[Node], server_minor: int | None, now: datetime) -> dict[str, float]:
    ready = sum(node.ready == "True" for node in nodes)
    found: dict[str, float] = {
        "count": len(nodes),
        "ready": ready,
        "not_ready": len(nodes) - ready,
        "silent": sum(node.ready == "Unknown" for node in nodes),
        "cordoned": sum(node.cordoned for node in nodes),
        "versions": len({node.version for node in nodes}),
    }
    for condition, name in PRESSURES.items():
        found[name] = sum(condition in n.conditions and n.conditions[condition].status == "True" for n in nodes)
    if nodes:
        found["ready_ratio"] = ready / len(nodes)
        found["newest_age"] = min((seconds for n in nodes if (seconds := age(n.created, now)) is not None), default=0)
    minors = [minor for node in nodes if (minor := _minor(node.version)) is not None]
    if minors and server_minor is not None:
        found["version_skew"] = max(0, server_minor - min(minors))
    return found


def _summarised(node: str, summary: Summary) -> list[Measurement]:
    found: list[Measurement] = []
    for name, filled in (("disk_used_ratio", summary.disk), ("images_used_ratio", summary.images)):
        if filled is not None:
            found.append(Measurement(name, filled.used / filled.capacity, Unit.RATIO, node))
    if summary.disk is not None and summary.disk.inodes:
        ratio = summary.disk.inodes_used / summary.disk.inodes
        found.append(Measurement("inodes_used_ratio", ratio, Unit.RATIO, node))
    if summary.network is not None:
        found.append(Measurement("network_received", summary.network.received, Unit.BYTES, node))
        found.append(Measurement("network_sent", summary.network.sent, Unit.BYTES, node))
        found.append(Measurement("network_errors", summary.network.errors, Unit.COUNT, node))
    return found


def _minor(version: str) -> int | None:
    match = re.match(r"v?\d+\.(\d+)", version)
    return int(match[1]) if match else None


async def _server_minor(params: ClusterParams, context: ProbeContext) -> int | None:
    """The API server's minor version; None where it does not say."""

    async def ask() -> int | None:
        cluster = await cluster_of(params, context)
        what = "asking for the version"
        return await cluster.recent("version", lambda: within(context, cluster, what, _ask_version(cluster)))

    try:
        return await context.once(("kubernetes", params.kubeconfig, params.context, "version"), ask)
    except ProbeError as error:
        if error.kind in ("forbidden", "missing"):
            return None
        raise


async def _ask_version(cluster: Cluster) -> int | None:
    async with cluster.open("/version", {}, rule=None) as response:
        try:
            return _minor(str(json.loads(await response.content.read(_VERSION_MAX))["gitVersion"]))
        except (ValueError, KeyError, TypeError):
            return None


def _troubles(node: Node) -> list[tuple[str, Condition]]:
    """The conditions that are not as they should be, Ready first."""
    found = [("Ready", node.conditions.get("Ready", Condition("Unknown", "", None)))] if node.ready != "True" else []
    return found + [(k, v) for k, v in node.conditions.items() if k in PRESSURES and v.status == "True"]


def _note(nodes: Sequence[Node]) -> str:
    bad = [f"{node.name} {_short(_troubles(node))}" for node in nodes if _troubles(node)]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return ", ".join(bad[:_NAMED]) + more


def _short(troubles: list[tuple[str, Condition]]) -> str:
    return " and ".join(
        {"Unknown": "silent", "False": "not ready"}.get(condition.status, "") if kind == "Ready" else kind
        for kind, condition in troubles
    )


def _evidence(nodes: Sequence[Node], context: ProbeContext) -> tuple[Evidence, ...]:
    lines: list[str] = []
    for node in nodes:
        for kind, condition in _troubles(node):
            why = f" ({condition.why})" if condition.why else ""
            lines.append(f"{node.name}: {kind} is {condition.status}, since {ago(condition.since, context.now)}{why}")
        if node.cordoned:
            lines.append(f"{node.name}: cordoned")
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    return (Evidence("nodes", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()
