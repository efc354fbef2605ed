"""Pods of the emulated cluster: how a kubelet tells of one that runs, crashes, waits or was killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from healthd.sandbox.parts.kubernetes.logs import Log
from healthd.sandbox.parts.kubernetes.store import AGE, Store
from healthd.sandbox.parts.kubernetes.times import Ago, Manifest, stamp

_KILLED = 137  # 128 and SIGKILL
_STARTED = timedelta(minutes=2)  # a container runs that long before it crashes again


@dataclass
class Pod:
    """One pod of the store, with the logs and the usage of its containers.

    Every method that changes it says so in its status as a kubelet would; `recover` makes all well again.
    `cpu` and `memory` are what each container uses, as shares of its limit (of its request, without a limit).
    """

    store: Store
    manifest: Manifest
    cpu: float = 0.3
    memory: float = 0.45
    changed: Callable[[], None] = lambda: None
    volumes: dict[str, Callable[[], tuple[float, float]]] = field(default_factory=dict)  # claim -> share, bytes
    logs: dict[str, Log] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.containers:
            self.logs.setdefault(name, Log())

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    @property
    def containers(self) -> tuple[str, ...]:
        return tuple(container["name"] for container in self.manifest["spec"]["containers"])

    @property
    def running(self) -> bool:
        """Whether any of its containers runs now: only then metrics-server knows it."""
        return any("running" in s.get("state", {}) for s in self._statuses())

    @property
    def log(self) -> Log:
        """That of its first container."""
        return self.logs[self.containers[0]]

    def recover(self) -> None:
        """Running and ready, with nothing to be seen of what was; its logs are kept."""
        self._set(state={"running": {"startedAt": Ago(AGE)}}, ready=True)

    def crash_loop(self, *, restarts: int = 12, code: int = 1, reason: str = "Error") -> None:
        """Its containers end soon after each start: CrashLoopBackOff, the last time just now."""
        last = _ended(reason, code)
        message = "back-off 5m0s restarting failed container"
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._set(state=waiting, ready=False, restarts=restarts, last=last)

    def kill_for_memory(self, *, restarts: int = 1) -> None:
        """Killed by the kernel a moment ago (OOMKilled), started again since and ready."""
        running = {"running": {"startedAt": stamp()}}
        self._set(state=running, ready=True, restarts=restarts, last=_ended("OOMKilled", _KILLED))

    def fail_readiness(self) -> None:
        """Runs, and its readiness probe fails."""
        self._set(state={"running": {"startedAt": Ago(AGE)}}, ready=False)

    def lack_image(self, image: str = "") -> None:
        """Cannot start: its image cannot be pulled."""
        message = f'Back-off pulling image "{image or self.manifest["spec"]["containers"][0]["image"]}"'
        self._set(state={"waiting": {"reason": "ImagePullBackOff", "message": message}}, ready=False, phase="Pending")

    def pend(self, why: str = "0/3 nodes are available: 3 Insufficient cpu.") -> None:
        """Fits on no node."""
        self._set(state={}, ready=False, phase="Pending")
        self.manifest["status"]["containerStatuses"] = []
        conditions = [_condition("PodScheduled", False, Ago(timedelta(minutes=10)))]
        conditions[0] |= {"reason": "Unschedulable", "message": why}
        self.manifest["status"]["conditions"] = conditions
        self._tell()

    def evict(self, why: str = "The node was low on resource: memory.") -> None:
        """Thrown off its node."""
        self.manifest["status"] = {
            "phase": "Failed", "reason": "Evicted", "message": why, "startTime": Ago(AGE), "qosClass": "Burstable",
        }  # fmt: skip
        self._tell()

    def use(self, *, cpu: float | None = None, memory: float | None = None) -> None:
        """Use shares of its limits from now on."""
        self.cpu = self.cpu if cpu is None else cpu
        self.memory = self.memory if memory is None else memory

    def _set(
        self,
        *,
        state: Mapping[str, Any],
        ready: bool,
        phase: str = "Running",
        restarts: int = 0,
        last: Mapping[str, Any] | None = None,
    ) -> None:
        since = Ago(AGE) if ready and not restarts else stamp()
        statuses = [
            {
                "name": container["name"], "image": container["image"],
                "imageID": f"docker-pullable://{container['image']}", "containerID": f"containerd://{self.name}",
                "ready": ready, "started": "running" in state, "restartCount": restarts, "state": dict(state),
                "lastState": dict(last or {}),
            }
            for container in self.manifest["spec"]["containers"]
        ]  # fmt: skip
        conditions = [
            _condition("Initialized", True, Ago(AGE)),
            _condition("Ready", ready, since, self.containers),
            _condition("ContainersReady", ready, since, self.containers),
            _condition("PodScheduled", True, Ago(AGE)),
        ]
        self.manifest["status"] = {
            "phase": phase, "conditions": conditions, "hostIP": "10.0.0.10", "podIP": "10.244.0.7",
            "startTime": Ago(AGE), "containerStatuses": statuses, "qosClass": "Burstable",
        }  # fmt: skip
        self._tell()

    def _tell(self) -> None:
        self.store.touch(self.manifest)
        self.changed()

    @property
    def ready(self) -> bool:
        """As its readiness probe finds."""
        conditions = self.manifest.get("status", {}).get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def _statuses(self) -> Sequence[Mapping[str, Any]]:
        return self.manifest.get("status", {}).get("containerStatuses") or ()


def _ended(reason: str, code: int) -> Manifest:
    """How a container ended just now."""
    return {
        "terminated": {
            "exitCode": code, "reason": reason, "startedAt": stamp(_STARTED), "finishedAt": stamp(),
            "containerID": "containerd://before",
        }
    }  # fmt: skip


def _condition(kind: str, holds: bool, since: Any, containers: Sequence[str] = ()) -> Manifest:
    condition: Manifest = {"type": kind, "status": "True" if holds else "False", "lastProbeTime": None}
    if not holds and containers:
        message = f"containers with unready status: [{' '.join(containers)}]"
        condition |= {"reason": "ContainersNotReady", "message": message}
    return {**condition, "lastTransitionTime": since}
