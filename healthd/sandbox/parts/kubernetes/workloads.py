"""Deployments, StatefulSets, CronJobs, autoscalers and certificates of the emulated cluster, and how they go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from healthd.sandbox.parts.kubernetes import manifests
from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.store import Store
from healthd.sandbox.parts.kubernetes.times import LastDue, Manifest, stamp

Spawn = Callable[["Workload", int], Pod]


@dataclass
class Workload:
    """A Deployment or StatefulSet with its pods; its status follows theirs."""

    store: Store
    manifest: Manifest
    spawn: Spawn  # makes one more pod of it
    retire: Callable[[Pod], None]  # takes a pod away
    pods: list[Pod] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def pod(self) -> Pod:
        """The first of its pods."""
        return self.pods[0]

    def each(self, change: Callable[[Pod], None]) -> None:
        """Change all of its pods: `workload.each(Pod.crash_loop)`."""
        for pod in self.pods:
            change(pod)

    def recover(self) -> None:
        """All of its pods run and are ready; no rollout hangs."""
        if self.manifest["kind"] == "Deployment":
            self._progress("True", "NewReplicaSetAvailable", "ReplicaSet has progressed.")
        self.each(Pod.recover)
        self.settle()

    def restart(self) -> None:
        """As `kubectl rollout restart`: new pods, which run and are ready, with empty logs."""
        self.scale(0)
        self.scale(self.manifest["spec"]["replicas"])

    def scale(self, replicas: int, *, wanted: bool = False) -> None:
        """Have that many pods; with `wanted` it is also what is asked for."""
        while len(self.pods) > replicas:
            self.retire(self.pods.pop())
        while len(self.pods) < replicas:
            self.pods.append(self.spawn(self, len(self.pods)))
        if wanted:
            self.manifest["spec"]["replicas"] = replicas
        self.settle()

    def stall(self, message: str = "") -> None:
        """Its last rollout does not get ahead: the deadline is over, the new pod never became ready."""
        said = message or f'ReplicaSet "{self.name}-{manifests.suffix(9)}" has timed out progressing.'
        self._progress("False", "ProgressDeadlineExceeded", said)
        self.manifest["status"]["updatedReplicas"] = max(0, len(self.pods) - 1)
        self.store.touch(self.manifest)

    def write(self, *lines: str, age: timedelta = timedelta(0)) -> None:
        """Lines in the log of its first pod, written that long ago."""
        self.pod.log.write(*lines, age=age)

    def repeat(self, line: str, every: timedelta) -> None:
        """A line that each of its pods writes again and again."""
        for pod in self.pods:
            pod.log.repeat(line, every)

    def clear_logs(self) -> None:
        """As if its pods' logs had just been rotated."""
        for pod in self.pods:
            for log in pod.logs.values():
                log.clear()

    def use(self, *, cpu: float | None = None, memory: float | None = None) -> None:
        """Let all of its pods use shares of their limits."""
        for pod in self.pods:
            pod.use(cpu=cpu, memory=memory)

    def settle(self) -> None:
        """Count its pods into its status, as its controller would."""
        status, ready = self.manifest["status"], sum(pod.ready for pod in self.pods)
        wanted = self.manifest["spec"]["replicas"]
        status.update(replicas=len(self.pods), updatedReplicas=len(self.pods))
        status.update(readyReplicas=ready, availableReplicas=ready, unavailableReplicas=max(0, wanted - ready))
        for condition in status.get("conditions") or ():
            if condition["type"] == "Available":
                holds = ready >= wanted - max(1, wanted // 4) and ready > 0
                condition["status"] = "True" if holds else "False"
                condition["reason"] = "MinimumReplicasAvailable" if holds else "MinimumReplicasUnavailable"
        self.store.touch(self.manifest)

    def _progress(self, status: str, reason: str, message: str) -> None:
        for condition in self.manifest["status"].get("conditions") or ():
            if condition["type"] == "Progressing":
                condition.update(status=status, reason=reason, message=message)


@dataclass
class CronJob:
    """A CronJob and the Jobs it made; healthy, it has done its work every time it was due."""

    store: Store
    manifest: Manifest
    took: timedelta

    def recover(self) -> None:
        """It has done its work every time it was due: the last Job ended well."""
        schedule = self.manifest["spec"]["schedule"]
        began, ended = LastDue(schedule), LastDue(schedule, self.took)
        self._replace_jobs(manifests.job(self.manifest, f"{self._name}-29012345", began, ended))
        self.manifest["status"] = {"lastScheduleTime": began, "lastSuccessfulTime": ended}
        self.manifest["spec"]["suspend"] = False
        self.store.touch(self.manifest)

    def fail(self, why: str = "Job has reached the specified backoff limit") -> None:
        """Its newest Job failed just now."""
        job = manifests.job(self.manifest, f"{self._name}-29012399", stamp(timedelta(minutes=3)), stamp(), why)
        self.store.put(job)
        self.manifest["status"]["lastScheduleTime"] = stamp(timedelta(minutes=3))
        self.store.touch(self.manifest)

    def stop_since(self, age: timedelta) -> None:
        """It last did its work that long ago, and no Job of it was made since."""
        began, ended = stamp(age + self.took), stamp(age)
        self._replace_jobs(manifests.job(self.manifest, f"{self._name}-29010000", began, ended))
        self.manifest["status"] = {"lastScheduleTime": began, "lastSuccessfulTime": ended}
        self.store.touch(self.manifest)

    def suspend(self) -> None:
        """Somebody suspended it."""
        self.manifest["spec"]["suspend"] = True
        self.store.touch(self.manifest)

    @property
    def _name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    def _replace_jobs(self, job: Manifest) -> None:
        for old in list(self._jobs()):
            self.store.delete(old)
        self.store.put(job)

    def _jobs(self) -> Iterator[Manifest]:
        uid = self.manifest["metadata"]["uid"]
        for job in self.store.of("Job", self.manifest["metadata"]["namespace"]):
            if any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences") or ()):
                yield job


@dataclass
class Autoscaler:
    """A HorizontalPodAutoscaler of a workload."""

    store: Store
    manifest: Manifest
    target: Workload
    usual: int  # replicas

    def go_to_maximum(self, cpu: int = 95) -> None:
        """It has made as many pods as it may and wants more, with the CPU at that many percent."""
        most = self.manifest["spec"]["maxReplicas"]
        self._be(most, cpu, "TooManyReplicas")

    def recover(self) -> None:
        """As many pods as usual, half of the CPU it aims at in use, able to scale."""
        self._be(self.usual, self._aim // 2, "")

    def lose_metrics(self) -> None:
        """It cannot have the metrics it scales by."""
        for condition in self.manifest["status"]["conditions"]:
            if condition["type"] == "ScalingActive":
                condition |= {"status": "False", "reason": "FailedGetResourceMetric"}
                condition["message"] = "unable to get metrics for resource cpu: no metrics returned from the API"
        self.store.touch(self.manifest)

    def limit(self, least: int, most: int) -> None:
        """Somebody changed how far it may go."""
        self.manifest["spec"].update(minReplicas=least, maxReplicas=most)
        self.store.touch(self.manifest)

    @property
    def _aim(self) -> int:
        target = self.manifest["spec"]["metrics"][0]["resource"]["target"]
        return int(target["averageUtilization"])

    def _be(self, replicas: int, cpu: int, limited: str) -> None:
        self.target.scale(replicas, wanted=True)
        self.manifest["status"] = manifests.autoscaler_status(replicas, replicas, cpu, limited)
        self.store.touch(self.manifest)


@dataclass
class Certificate:
    """cert-manager's Certificate."""

    store: Store
    manifest: Manifest

    def expire_in(self, left: timedelta) -> None:
        """It is valid that much longer (negative: no longer), as cert-manager could not renew it."""
        self._be(left, "")

    def fail(self, left: timedelta = timedelta(days=60), why: str = "The certificate request has failed") -> None:
        """It is not ready."""
        self._be(left, why)

    def recover(self) -> None:
        """Renewed and ready: valid for 60 days more."""
        self._be(timedelta(days=60), "")

    def _be(self, left: timedelta, trouble: str) -> None:
        self.manifest["status"] = manifests.certificate_status(left, trouble)
        self.store.touch(self.manifest)
