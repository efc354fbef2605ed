"""One namespace of the emulated cluster: makes what is in it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from healthd.sandbox.parts.kubernetes import manifests
from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.store import Store
from healthd.sandbox.parts.kubernetes.times import Manifest
from healthd.sandbox.parts.kubernetes.usage import size
from healthd.sandbox.parts.kubernetes.workloads import Autoscaler, Certificate, CronJob, Workload

_RESOURCES = {
    "requests": {"cpu": "250m", "memory": "256Mi"},
    "limits": {"cpu": "500m", "memory": "512Mi"},
}


@dataclass
class Claim:
    """A PersistentVolumeClaim; `used` is the share of it that is full, as the kubelet of its pod says."""

    store: Store
    manifest: Manifest
    used: float = 0.3

    def fill(self) -> tuple[float, float]:
        """How full it is, and its size in bytes."""
        return self.used, size(self.manifest["spec"]["resources"]["requests"]["storage"])

    def lose(self) -> None:
        """Its volume is gone."""
        self.manifest["status"] = {"phase": "Lost"}
        self.store.touch(self.manifest)

    def recover(self) -> None:
        """Bound; `used` stays."""
        capacity = dict(self.manifest["spec"]["resources"]["requests"])
        self.manifest["status"] = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": capacity}
        self.store.touch(self.manifest)


@dataclass
class Namespace:
    """Made by `Cluster.namespace`. Everything made here is well; what is returned can be broken and mended."""

    store: Store
    name: str
    _pods: MutableMapping[tuple[str, str], Pod]
    _nodes: Sequence[str]
    claims: dict[str, Claim] = field(default_factory=dict)

    def deployment(
        self,
        name: str,
        *,
        replicas: int = 3,
        image: str = "",
        labels: Mapping[str, str] | None = None,
        resources: Manifest | None = None,
        claims: Sequence[str] = (),
        rolled_out: timedelta = timedelta(days=3),
    ) -> Workload:
        """A Deployment with its ReplicaSet and pods of one container of that name; labelled `app=NAME` by default."""
        pod = manifests.template(name, image or f"{name}:1.0", resources or _RESOURCES, labels or {"app": name}, claims)
        made = self.store.put(manifests.deployment(name, self.name, replicas, pod, rolled_out))
        owner = self.store.put(manifests.replica_set(made, manifests.suffix(9)))
        workload = Workload(self.store, made, lambda of, _: self._spawn(of, owner, manifests.suffix(5)), self._retire)
        workload.scale(replicas)
        return workload

    def stateful_set(
        self,
        name: str,
        *,
        replicas: int = 1,
        image: str = "",
        labels: Mapping[str, str] | None = None,
        resources: Manifest | None = None,
        claims: Sequence[str] = (),
    ) -> Workload:
        """A StatefulSet with its pods NAME-0, NAME-1, ..."""
        pod = manifests.template(name, image or f"{name}:1.0", resources or _RESOURCES, labels or {"app": name}, claims)
        made = self.store.put(manifests.stateful_set(name, self.name, replicas, pod))
        workload = Workload(self.store, made, lambda of, number: self._spawn(of, made, str(number)), self._retire)
        workload.scale(replicas)
        return workload

    def cron_job(self, name: str, schedule: str, *, image: str = "", took: timedelta = timedelta(minutes=2)) -> CronJob:
        """A CronJob (schedule in UTC) that did its work each time, the last Job of it included."""
        made = self.store.put(manifests.cron_job(name, self.name, schedule, image or f"{name}:1.0", took))
        cron_job = CronJob(self.store, made, took)
        cron_job.recover()
        return cron_job

    def autoscaler(self, target: Workload, *, least: int, most: int, cpu: int = 70, name: str = "") -> Autoscaler:
        """A HorizontalPodAutoscaler, named as its target by default; `cpu` is the utilisation it aims at, percent."""
        made = self.store.put(manifests.autoscaler(name or target.name, target.manifest, least, most, cpu))
        return Autoscaler(self.store, made, target, target.manifest["spec"]["replicas"])

    def claim(self, name: str, size: str = "10Gi", *, storage_class: str = "standard", used: float = 0.3) -> Claim:
        """A PersistentVolumeClaim; make it before the workload that mounts it (`claims=[name]`)."""
        made = self.store.put(manifests.claim(name, self.name, size, storage_class))
        self.claims[name] = Claim(self.store, made, used)
        return self.claims[name]

    def certificate(self, name: str, *hosts: str, left: timedelta = timedelta(days=60)) -> Certificate:
        """cert-manager's Certificate, ready and valid for `left` more."""
        return Certificate(self.store, self.store.put(manifests.certificate(name, self.name, hosts, left)))

    def config_map(self, name: str, data: Mapping[str, str]) -> Manifest:
        """A ConfigMap; change its `data` in place later."""
        about = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifests.metadata(name, self.name)}
        return self.store.put({**about, "data": dict(data)})

    def resource(self, api_version: str, kind: str, name: str, **parts: Any) -> Manifest:
        """Any other object of a kind that is served (`Cluster.define`); `parts` are its spec, status, data."""
        about = {"apiVersion": api_version, "kind": kind, "metadata": manifests.metadata(name, self.name)}
        return self.store.put({**about, **parts})

    def event(
        self, about: Pod | Workload, reason: str, message: str, *, kind: str = "Warning", times: int = 1
    ) -> Manifest:
        """An event about a pod or workload, last seen half a minute ago; take it back with `store.delete`."""
        return self.store.put(manifests.event(about.manifest, kind, reason, message, times))

    def pod(self, name: str) -> Pod:
        """The pod of that name. KeyError when there is none."""
        return self._pods[self.name, name]

    def _spawn(self, workload: Workload, owner: Manifest, end: str) -> Pod:
        template = workload.manifest["spec"]["template"]
        labels = {**template["metadata"]["labels"], **owner["metadata"].get("labels", {})}
        node = self._nodes[len(workload.pods) % len(self._nodes)] if self._nodes else ""
        manifest = manifests.pod(f"{owner['metadata']['name']}-{end}", owner, template, labels, node)
        pod = Pod(self.store, self.store.put(manifest))
        mounted = [v["persistentVolumeClaim"]["claimName"] for v in template["spec"].get("volumes") or ()]
        pod.volumes = {name: self.claims[name].fill for name in mounted if name in self.claims}
        self._pods[self.name, pod.name] = pod
        pod.recover()
        pod.changed = workload.settle
        return pod

    def _retire(self, pod: Pod) -> None:
        self._pods.pop((self.name, pod.name), None)
        self.store.delete(pod.manifest)
