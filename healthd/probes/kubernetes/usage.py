"""The `kubernetes_usage` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_value
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import list_everywhere, list_rules
from healthd.probes.kubernetes.node_facts import NODES
from healthd.probes.kubernetes.params import EVERY_NAMESPACE, Names, Namespaces, matcher
from healthd.probes.kubernetes.pod_facts import PODS, Container, Pod
from healthd.probes.kubernetes.pod_selection import PodParams, select_pods
from healthd.probes.kubernetes.usage_facts import NODE_USAGE, POD_USAGE, Used
from healthd.probes.kubernetes.values import age

__all__ = ["KubernetesUsageProbe"]

_SHOWN = 10
# measure -> which of the two, and what it is compared with
_OF_NODES = {
    "cpu_ratio": ("cpu", "allocatable"), "memory_ratio": ("memory", "allocatable"),
    "cpu_capacity_ratio": ("cpu", "capacity"), "memory_capacity_ratio": ("memory", "capacity"),
}  # fmt: skip
_OF_PODS = {
    "cpu_request_ratio": ("cpu", "request"), "cpu_limit_ratio": ("cpu", "limit"),
    "memory_request_ratio": ("memory", "request"), "memory_limit_ratio": ("memory", "limit"),
}  # fmt: skip


class UsageParams(PodParams):
    """Of what: `nodes`, `pods` or `containers`. `selector` and `name` choose nodes, or pods.

    `top`: how many series are kept, of those that use most.
    """

    of: Literal["nodes", "pods", "containers"]
    namespace: Namespaces = (EVERY_NAMESPACE,)
    container: Names = ()
    top: int = Field(100, ge=1, le=1000)

    @model_validator(mode="after")
    def _only_of_pods(self) -> Self:
        if self.of == "nodes" and (self.namespace != (EVERY_NAMESPACE,) or self.owner or self.container):
            raise ValueError("nodes have no namespace, owner or container: choose them by selector and name")
        return self


class _Consumer(NamedTuple):
    """A node, pod or container: what it uses, and what that is compared with (None: not set)."""

    series: str
    used: Used
    against: Mapping[tuple[str, str], float | None]

    def ratio(self, key: tuple[str, str]) -> float | None:
        whole = self.against.get(key)
        return getattr(self.used, key[0]) / whole if whole else None


class KubernetesUsageProbe:
    """Compares what is used of CPU and memory with what there is."""

    Params: ClassVar[type[Params]] = UsageParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "nodes, pods or containers that were measured"),
        "unmeasured": MeasureInfo(Unit.COUNT, "those that run and were not: just started, or metrics-server is behind"),
        "sample_age": MeasureInfo(Unit.SECONDS, "of the oldest sample; absent without one"),
        "cpu": MeasureInfo(Unit.COUNT, "cores used, a series for each"),
        "memory": MeasureInfo(Unit.BYTES, "memory used (working set), a series for each"),
        "total_cpu": MeasureInfo(Unit.COUNT, "cores used by all"),
        "total_memory": MeasureInfo(Unit.BYTES, "memory used by all"),
        "total_cpu_ratio": MeasureInfo(Unit.RATIO, "of nodes: total_cpu / what all can allocate"),
        "total_memory_ratio": MeasureInfo(Unit.RATIO, "of nodes: total_memory / what all can allocate"),
        "cpu_ratio": MeasureInfo(Unit.RATIO, "of nodes: cpu / allocatable"),
        "memory_ratio": MeasureInfo(Unit.RATIO, "of nodes: memory / allocatable"),
        "cpu_capacity_ratio": MeasureInfo(Unit.RATIO, "of nodes: cpu / capacity"),
        "memory_capacity_ratio": MeasureInfo(Unit.RATIO, "of nodes: memory / capacity"),
        "cpu_request_ratio": MeasureInfo(Unit.RATIO, "of pods and containers: cpu / requests; absent without"),
        "cpu_limit_ratio": MeasureInfo(Unit.RATIO, "of pods and containers: cpu / limits; absent without"),
        "memory_request_ratio": MeasureInfo(Unit.RATIO, "of pods and containers: memory / requests; absent without"),
        "memory_limit_ratio": MeasureInfo(Unit.RATIO, "of pods and containers: memory / limits; absent without"),
        "without_memory_limit": MeasureInfo(Unit.COUNT, "of pods and containers: those without a limit of memory"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: UsageParams) -> Mapping[str, MeasureInfo]:
        """Those of nodes, or those of pods and containers."""
        others = {*_OF_PODS, "without_memory_limit"}
        if params.of != "nodes":
            others = {*_OF_NODES, "total_cpu_ratio", "total_memory_ratio"}
        return {name: about for name, about in self.measures.items() if name not in others}

    def rules(self, params: UsageParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        if params.of == "nodes":
            return (*list_rules(NODES, [""]), *list_rules(NODE_USAGE, [""]))
        return (*list_rules(PODS, params.lists), *list_rules(POD_USAGE, params.lists))

    async def run(self, params: UsageParams, context: ProbeContext) -> Observation:
        """Look at the list of nodes or pods, and at what metrics-server says of them."""
        look = _nodes if params.of == "nodes" else _pods
        consumers, unmeasured, sampled = await look(params, context)
        consumers.sort(key=lambda c: -c.used.memory)
        ratios = _OF_NODES if params.of == "nodes" else _OF_PODS
        measurements = _totals(consumers, params, unmeasured, sampled, context.now)
        for consumer in consumers[: params.top]:
            measurements.append(Measurement("cpu", consumer.used.cpu, Unit.COUNT, consumer.series))
            measurements.append(Measurement("memory", consumer.used.memory, Unit.BYTES, consumer.series))
            for name, key in ratios.items():
                if (ratio := consumer.ratio(key)) is not None:
                    measurements.append(Measurement(name, ratio, Unit.RATIO, consumer.series))
        return Observation(tuple(measurements), _evidence(consumers, ratios), _note(params, consumers))


_Found = tuple[list[_Consumer], int, list[datetime]]


async def _nodes(params: UsageParams, context: ProbeContext) -> _Found:
    wanted = matcher(params.name)
    nodes = [n for n in (await list_everywhere(NODES, params, context)).select(params.selector) if wanted(n.name)]
    usage = {u.name: u for u in (await list_everywhere(NODE_USAGE, params, context)).items}
    found: list[_Consumer] = []
    for node in nodes:
        if node.name in usage:
            against = {
                ("cpu", "allocatable"): node.cpu,
                ("memory", "allocatable"): node.memory,
                ("cpu", "capacity"): node.cpu_capacity,
                ("memory", "capacity"): node.memory_capacity,
            }
            found.append(_Consumer(node.name, usage[node.name].used, against))
    times = [at for node in nodes if node.name in usage and (at := usage[node.name].at) is not None]
    return found, len(nodes) - len(found), times


async def _pods(params: UsageParams, context: ProbeContext) -> _Found:
    pods = [pod for pod in await select_pods(params, context) if pod.phase == "Running"]
    usage = {}
    for namespace in params.lists:
        for sample in (await list_everywhere(POD_USAGE, params, context, namespace)).items:
            usage[sample.namespace, sample.name] = sample
    wanted = matcher(params.container)
    found: list[_Consumer] = []
    missing, times = 0, []
    for pod in pods:
        measured = usage.get((pod.namespace, pod.name))
        running = [c for c in pod.containers if c.running and wanted(c.name)]
        known = [(c, measured.containers[c.name]) for c in running if measured and c.name in measured.containers]
        if measured is not None and measured.at is not None and known:
            times.append(measured.at)
        if params.of == "containers":
            found += [_container(params, pod, c, used) for c, used in known]
            missing += len(running) - len(known)
        elif known:
            found.append(_pod(params, pod, known))
        else:
            missing += bool(running)
    return found, missing, times


def _container(params: UsageParams, pod: Pod, container: Container, used: Used) -> _Consumer:
    return _Consumer(f"{params.series(pod)}/{container.name}", used, _wanted(container))


def _pod(params: UsageParams, pod: Pod, known: Sequence[tuple[Container, Used]]) -> _Consumer:
    """A pod's limit is that of all its containers, if every one of them has one."""
    used = Used(sum(u.cpu for _, u in known), sum(u.memory for _, u in known))
    parts = [_wanted(container) for container, _ in known]
    against: dict[tuple[str, str], float | None] = {}
    for key in parts[0]:
        values = [part[key] for part in parts]
        against[key] = None if None in values else sum(value or 0.0 for value in values)
    return _Consumer(params.series(pod), used, against)


def _wanted(container: Container) -> dict[tuple[str, str], float | None]:
    return {
        ("cpu", "request"): container.cpu_request,
        ("cpu", "limit"): container.cpu_limit,
        ("memory", "request"): container.memory_request,
        ("memory", "limit"): container.memory_limit,
    }


def _totals(
    consumers: Sequence[_Consumer], params: UsageParams, unmeasured: int, sampled: Sequence[datetime], now: datetime
) -> list[Measurement]:
    totals = {kind: sum(getattr(c.used, kind) for c in consumers) for kind in ("cpu", "memory")}
    found = [
        Measurement("count", float(len(consumers)), Unit.COUNT),
        Measurement("unmeasured", float(unmeasured), Unit.COUNT),
        Measurement("total_cpu", float(totals["cpu"]), Unit.COUNT),
        Measurement("total_memory", float(totals["memory"]), Unit.BYTES),
    ]
    if sampled and (seconds := age(min(sampled), now)) is not None:
        found.append(Measurement("sample_age", seconds, Unit.SECONDS))
    if params.of != "nodes":
        without = sum(not c.against[("memory", "limit")] for c in consumers)
        return [*found, Measurement("without_memory_limit", float(without), Unit.COUNT)]
    for kind, used in totals.items():
        if whole := sum(c.against[(kind, "allocatable")] or 0.0 for c in consumers):
            found.append(Measurement(f"total_{kind}_ratio", used / whole, Unit.RATIO))
    return found


def _note(params: UsageParams, consumers: Sequence[_Consumer]) -> str:
    if not consumers:
        return f"no {params.of} were measured"
    if len(consumers) > params.top:
        return f"series of the {params.top} that use most memory, of {len(consumers)}"
    limited = params.of == "nodes" or any(c.against[("memory", "limit")] for c in consumers)
    return "" if limited else f"none of the {params.of} has a limit of memory"


def _evidence(consumers: Sequence[_Consumer], ratios: Mapping[str, tuple[str, str]]) -> tuple[Evidence, ...]:
    lines = []
    for consumer in consumers[:_SHOWN]:
        parts = [f"{consumer.used.cpu:.3g} cores, {format_value(consumer.used.memory, Unit.BYTES)}"]
        for name, key in ratios.items():
            if (ratio := consumer.ratio(key)) is not None:
                parts.append(f"{name} {format_value(ratio, Unit.RATIO)}")
        lines.append(f"{consumer.series}: {', '.join(parts)}")
    return (Evidence("most memory", "\n".join(lines)),) if lines else ()
