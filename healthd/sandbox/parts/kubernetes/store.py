"""What the emulated cluster holds: objects by kind, namespace and name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from healthd.sandbox.parts.kubernetes.times import Ago, Manifest

AGE = timedelta(days=30)  # of an object that does not say how old it is


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, and where the API serves it. `custom`: by a CustomResourceDefinition."""

    group: str  # "" is the core
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    custom: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def _kinds(api_version: str, *names: str, namespaced: bool = True) -> list[Kind]:
    group, _, version = api_version.rpartition("/")
    return [Kind(group, version, name.lower() + ("es" if name[-1] == "s" else "s"), name, namespaced) for name in names]


BUILT_IN = (
    *_kinds("v1", "Pod", "Event", "ConfigMap", "Secret", "Service", "ServiceAccount", "PersistentVolumeClaim"),
    *_kinds("v1", "Node", "Namespace", "PersistentVolume", namespaced=False),
    *_kinds("apps/v1", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"),
    *_kinds("batch/v1", "Job", "CronJob"),
    *_kinds("autoscaling/v2", "HorizontalPodAutoscaler"),
    *_kinds("networking.k8s.io/v1", "Ingress"),
)


class Store:
    """The objects of every kind served. Changing one in place is allowed: `touch` it then."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[tuple[str, str], Manifest]] = {kind: {} for kind in BUILT_IN}
        self.revision = 1000

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(self._objects)

    def define(self, kind: Kind) -> None:
        """Serve another kind, as a CustomResourceDefinition would."""
        self._objects.setdefault(kind, {})

    def kind_of(self, manifest: Manifest) -> Kind:
        """The kind of an object. KeyError when it is not served."""
        wanted = manifest["apiVersion"], manifest["kind"]
        for kind in self._objects:
            if (kind.api_version, kind.kind) == wanted:
                return kind
        raise KeyError(f"the cluster serves no {manifest['kind']} in {manifest['apiVersion']}")

    def served(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served under that path."""
        names = group, version, plural
        return next((k for k in self._objects if (k.group, k.version, k.plural) == names), None)

    def put(self, manifest: Manifest) -> Manifest:
        """Keep an object, in place of the one of its name; what the server sets is set."""
        kind, metadata = self.kind_of(manifest), manifest["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", Ago(AGE))
        self._objects[kind][metadata.get("namespace", ""), metadata["name"]] = manifest
        return self.touch(manifest)

    def touch(self, manifest: Manifest) -> Manifest:
        """Give it a new resourceVersion."""
        self.revision += 1
        manifest["metadata"]["resourceVersion"] = str(self.revision)
        return manifest

    def get(self, kind: str, namespace: str, name: str) -> Manifest:
        """The object. KeyError when there is none."""
        for each, objects in self._objects.items():
            if each.kind == kind and (namespace, name) in objects:
                return objects[namespace, name]
        raise KeyError(f"there is no {kind} {name}" + (f" in namespace {namespace}" if namespace else ""))

    def delete(self, manifest: Manifest) -> None:
        """Forget an object; fine when it is gone already."""
        metadata = manifest["metadata"]
        if self._objects[self.kind_of(manifest)].pop((metadata.get("namespace", ""), metadata["name"]), None):
            self.revision += 1

    def listed(self, kind: Kind, namespace: str = "") -> Iterator[Manifest]:
        """The objects of a kind in the order of their names; of all namespaces, or of one."""
        objects = self._objects[kind]
        for place in sorted(objects):
            if not namespace or place[0] == namespace:
                yield objects[place]

    def of(self, kind: str, namespace: str = "") -> Iterator[Manifest]:
        """The same, by the name of the kind ("Pod")."""
        for each in self.kinds:
            if each.kind == kind:
                yield from self.listed(each, namespace)
