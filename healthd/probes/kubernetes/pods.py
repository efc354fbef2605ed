"""The `kubernetes_pods` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit, format_duration
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.pod_facts import PODS, Container, Pod
from healthd.probes.kubernetes.pod_selection import PodParams, select_pods
from healthd.probes.kubernetes.values import age, ago

__all__ = ["KubernetesPodsProbe"]

CRASH_LOOP = "CrashLoopBackOff"
IMAGE_ERRORS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"}
)  # fmt: skip
START_ERRORS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError",
     "PreCreateHookError", "PreStartHookError"}
)  # fmt: skip
_SHOWN, _NAMED, _SERIES_MAX = 20, 5, 500


class PodsParams(PodParams):
    """`since`: how far back a restart or a kill still counts. `per_pod` adds a series for each pod."""

    since: Duration = timedelta(hours=1)
    per_pod: bool = False


class KubernetesPodsProbe:
    """Counts pods by what is the matter with them."""

    Params: ClassVar[type[Params]] = PodsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("pods that fit; 0 when there are none, and when the namespace does not exist"),
        "running": counted("in phase Running"),
        "ready": counted("that are ready"),
        "not_ready": counted("that should be ready and are not: pending, running or unknown"),
        "ready_ratio": MeasureInfo(Unit.RATIO, "ready / (ready + not_ready); absent when both are 0"),
        "pending": counted("in phase Pending"),
        "oldest_pending_age": MeasureInfo(Unit.SECONDS, "how long the oldest pending pod has been; 0 without one"),
        "succeeded": counted("in phase Succeeded"),
        "failed": counted("in phase Failed"),
        "evicted": counted("failed ones that the kubelet evicted"),
        "unknown": counted("in phase Unknown, or on a node that is lost"),
        "terminating": counted("being deleted; they are in none of the others but count"),
        "oldest_terminating_age": MeasureInfo(Unit.SECONDS, "past the end of its grace, of the worst; 0 without one"),
        "restarts": counted("restarts of all containers since their pods were made"),
        "recent_restarts": counted("restarts within `since`, at least"),
        "oom_killed": counted("containers killed for their memory within `since`"),
        "crash_loop_back_off": counted("pods with a container that keeps crashing"),
        "image_pull_errors": counted("pods with an image that cannot be had"),
        "start_errors": counted("pods with a container that cannot be made or started"),
        "pod_ready": counted("with per_pod: 1 or 0, one series for each pod"),
        "pod_restarts": counted("with per_pod: restarts of its containers, one series for each pod"),
        "pod_age": MeasureInfo(Unit.SECONDS, "with per_pod: since it was made, one series for each pod"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (Threshold("count", critical=parse_condition("= 0"), name="count"),)

    def measures_for(self, params: PodsParams) -> Mapping[str, MeasureInfo]:
        """All; those of single pods only with `per_pod`."""
        return {k: v for k, v in self.measures.items() if params.per_pod or not k.startswith("pod_")}

    def rules(self, params: PodsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return list_rules(PODS, params.lists)

    async def run(self, params: PodsParams, context: ProbeContext) -> Observation:
        """Look at the list of pods; checks that ask for the same of it share the answer."""
        return await context.once(("kubernetes_pods", params), lambda: self._look(params, context))

    async def _look(self, params: PodsParams, context: ProbeContext) -> Observation:
        pods = await select_pods(params, context)
        found = _measure(pods, params, context.now)
        measurements = [Measurement(name, float(v), self.measures[name].unit) for name, v in found.items()]
        if params.per_pod:
            measurements += _per_pod(pods, params, context.now)
        return _observation(measurements, pods, params, context)


def _measure(pods: Sequence[Pod], params: PodsParams, now: datetime) -> dict[str, float]:
    odd = [pod for pod in pods if not pod.plain]
    staying = [pod for pod in odd if pod.terminating_since is None]
    phases = Counter(pod.phase for pod in staying)
    phases["Running"] += len(pods) - len(odd)
    ready = len(pods) - len(odd) + sum(pod.ready for pod in staying if pod.phase == "Running")
    wanted = len(pods) - len(odd) + sum(not _over(pod) for pod in staying)
    return {
        "count": len(pods),
        "running": phases["Running"],
        "ready": ready,
        "not_ready": wanted - ready,
        **({"ready_ratio": ready / wanted} if wanted else {}),
        "pending": phases["Pending"],
        "succeeded": phases["Succeeded"],
        "failed": phases["Failed"],
        "evicted": sum(pod.why.startswith("Evicted") for pod in staying if pod.phase == "Failed"),
        "unknown": sum(pod.phase == "Unknown" or pod.why.startswith("NodeLost") for pod in staying),
        "terminating": len(odd) - len(staying),
        **_ages(odd, now),
        **_containers(odd, staying, now - params.since),
    }


def _ages(odd: Sequence[Pod], now: datetime) -> dict[str, float]:
    leaving = [pod.terminating_since for pod in odd if pod.terminating_since is not None]
    pending = [pod.created for pod in odd if pod.phase == "Pending" and pod.terminating_since is None]
    return {
        "oldest_pending_age": max((age(then, now) or 0.0 for then in pending), default=0.0),
        "oldest_terminating_age": max((age(then, now) or 0.0 for then in leaving), default=0.0),
    }


def _containers(odd: Sequence[Pod], staying: Sequence[Pod], since: datetime) -> dict[str, float]:
    troubles = Counter(trouble for pod in staying for trouble in _troubles(pod))
    return {
        "restarts": sum(c.restarts for pod in staying for c in pod.containers),
        "recent_restarts": sum(_recent_restarts(pod, c, since) for pod in staying for c in pod.containers),
        "oom_killed": sum(_oom_killed(c, since) for pod in odd for c in pod.containers),
        **{name: troubles[name] for name in ("crash_loop_back_off", "image_pull_errors", "start_errors")},
    }


def _over(pod: Pod) -> bool:
    return pod.phase in ("Succeeded", "Failed")


def _troubles(pod: Pod) -> set[str]:
    found: set[str] = set()
    for container in pod.containers:
        if not container.waiting:
            continue
        if container.waiting == CRASH_LOOP:
            found.add("crash_loop_back_off")
        elif container.waiting in IMAGE_ERRORS:
            found.add("image_pull_errors")
        elif container.waiting in START_ERRORS:
            found.add("start_errors")
    return found


def _recent_restarts(pod: Pod, container: Container, since: datetime) -> int:
    """Kubernetes remembers when the last one was, not those before."""
    if not container.restarts:
        return 0
    if pod.created is not None and pod.created >= since:
        return container.restarts
    return int(any(end.at is not None and end.at >= since for end in container.exits))


def _oom_killed(container: Container, since: datetime) -> int:
    return sum(end.reason == "OOMKilled" and end.at is not None and end.at >= since for end in container.exits)


def _per_pod(pods: Sequence[Pod], params: PodsParams, now: datetime) -> list[Measurement]:
    found: list[Measurement] = []
    for pod in pods[:_SERIES_MAX]:
        series = params.series(pod)
        found.append(Measurement("pod_ready", float(pod.ready), Unit.COUNT, series))
        found.append(Measurement("pod_restarts", float(sum(c.restarts for c in pod.containers)), Unit.COUNT, series))
        if (seconds := age(pod.created, now)) is not None:
            found.append(Measurement("pod_age", seconds, Unit.SECONDS, series))
    return found


def _observation(
    measurements: list[Measurement], pods: Sequence[Pod], params: PodsParams, context: ProbeContext
) -> Observation:
    if not pods:
        return Observation(tuple(measurements), (), f"no pods {params.which()}{params.place()}")
    badness = ((_badness(pod, context.now - params.since), pod) for pod in pods if not pod.plain)
    ranked = sorted(badness, key=lambda found: -found[0])
    worst = [pod for badness, pod in ranked if badness > 0]
    lines = [_describe(pod, params, context.now) for pod in worst[:_SHOWN]]
    if len(worst) > _SHOWN:
        lines.append(f"and {len(worst) - _SHOWN} more")
    evidence = (Evidence("pods", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()
    notes = [f"{params.series(pod)} {_state(pod)}" for pod in worst[:_NAMED] if not _fine(pod)]
    if params.per_pod and len(pods) > _SERIES_MAX:
        notes.append(f"series of the first {_SERIES_MAX} of {len(pods)} pods only")
    return Observation(tuple(measurements), evidence, ", ".join(notes))


def _fine(pod: Pod) -> bool:
    return pod.phase == "Succeeded" or (pod.phase == "Running" and pod.ready)


def _badness(pod: Pod, since: datetime) -> float:
    """What a person should see first: what keeps failing, what is not ready, what was restarted of late."""
    recent = sum(_recent_restarts(pod, c, since) for c in pod.containers)
    if _fine(pod):
        return 1.0 - 1.0 / (recent + 1) if recent else 0.0
    return 2.0 + 2.0 * bool(_troubles(pod)) + (pod.phase == "Failed")


def _state(pod: Pod) -> str:
    """What kubectl shows as its STATUS."""
    if pod.terminating_since is not None:
        return "Terminating"
    waiting = next((c for c in pod.containers if c.waiting and c.waiting != "PodInitializing"), None)
    if waiting is not None and waiting.waiting != "ContainerCreating":
        return f"Init:{waiting.waiting}" if waiting.init else waiting.waiting
    if pod.why:
        return pod.why.partition(":")[0]
    return "not ready" if pod.phase == "Running" and not pod.ready else pod.phase


def _describe(pod: Pod, params: PodsParams, now: datetime) -> str:
    ready = sum(c.ready for c in pod.containers if not c.init)
    parts = [f"{ready}/{sum(not c.init for c in pod.containers)} ready"]
    if restarts := sum(c.restarts for c in pod.containers):
        parts.append(f"{restarts} restarts")
    ends = [(c, end) for c in pod.containers for end in c.exits if end.at is not None and end.reason != "Completed"]
    if ends:
        container, end = max(ends, key=lambda known: known[1].at or now)
        parts.append(f"{container.name} ended with {end.code} ({end.reason or 'no reason'}) {ago(end.at, now)}")
    if pod.why:
        parts.append(pod.why)
    if (seconds := age(pod.created, now)) is not None:
        parts.append(f"age {format_duration(float(round(seconds)))}")
    return f"{params.series(pod)}: {_state(pod)}, {', '.join(parts)}" + (f", on {pod.node}" if pod.node else "")
