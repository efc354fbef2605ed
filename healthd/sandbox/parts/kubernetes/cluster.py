"""An emulated Kubernetes cluster on loopback: an API server for objects that are kept here and changed by calls.

    cluster = Cluster(folder)
    cluster.node("node-1")
    shop = cluster.namespace("shop")
    web = shop.deployment("web", replicas=3)
    scaler = shop.autoscaler(web, least=3, most=10)
    await cluster.start()
    cluster.kubeconfig                     # its path: KUBECONFIG, or the parameter `kubeconfig` of a check
    web.pod.crash_loop(); scaler.go_to_maximum(); web.write("ERROR no space left on device")
    web.recover(); scaler.recover(); web.clear_logs()

Nothing runs in it: what a controller or kubelet would do to a status is done by the call that breaks or mends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from healthd.sandbox.child import free_port
from healthd.sandbox.parts.kubernetes import manifests
from healthd.sandbox.parts.kubernetes.api import Api, Users
from healthd.sandbox.parts.kubernetes.namespace import Namespace
from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.statuses import RefusedError
from healthd.sandbox.parts.kubernetes.store import AGE, Kind, Store
from healthd.sandbox.parts.kubernetes.times import Manifest
from healthd.sandbox.parts.kubernetes.usage import node_usage, pod_usage, summary

_METRICS = (
    Kind("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False),
    Kind("metrics.k8s.io", "v1beta1", "pods", "PodMetrics"),
)
_CERTIFICATE = Kind("cert-manager.io", "v1", "certificates", "Certificate", custom=True)


@dataclass
class Node:
    """A node; `cpu`, `memory` and `disk` are the shares of what it has that are in use."""

    store: Store
    manifest: Manifest
    cpu: float = 0.35
    memory: float = 0.5
    disk: float = 0.4
    network_errors: int = 0

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    def use(self, *, cpu: float | None = None, memory: float | None = None, disk: float | None = None) -> None:
        """Use these shares from now on."""
        self.cpu = self.cpu if cpu is None else cpu
        self.memory = self.memory if memory is None else memory
        self.disk = self.disk if disk is None else disk

    def go_silent(self) -> None:
        """Its kubelet no longer says how it is: Ready is Unknown."""
        self.say("Ready", "Unknown", "NodeStatusUnknown")

    def press(self, kind: str = "MemoryPressure") -> None:
        """It is under pressure: MemoryPressure, DiskPressure or PIDPressure."""
        self.say(kind, "True", f"KubeletHas{kind}")

    def cordon(self) -> None:
        """Nothing new is put on it."""
        self.manifest["spec"]["unschedulable"] = True
        self.store.touch(self.manifest)

    def recover(self) -> None:
        """Ready, free of pressure, schedulable; its shares in use stay."""
        self.manifest["spec"].pop("unschedulable", None)
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure"):
            self.say(kind, "False", "", AGE)
        self.say("Ready", "True", "", AGE)

    def say(self, kind: str, status: str, reason: str, since: timedelta = timedelta(minutes=10)) -> None:
        """Set one of its conditions, as it has been for `since`."""
        conditions = [c for c in self.manifest["status"]["conditions"] if c["type"] != kind]
        self.manifest["status"]["conditions"] = [*conditions, manifests.node_condition(kind, status, reason, since)]
        self.store.touch(self.manifest)


@dataclass
class Cluster:
    """See the module. `folder` takes the kubeconfig, which holds a token: mode 0600."""

    folder: Path
    version: str = "v1.29.4"
    store: Store = field(default_factory=Store)
    users: Users = field(default_factory=Users)
    nodes: dict[str, Node] = field(default_factory=dict)
    _pods: dict[tuple[str, str], Pod] = field(default_factory=dict)
    _metrics_server: bool = True
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for kind in (*_METRICS, _CERTIFICATE):
            self.store.define(kind)
        self._tokens = {"healthd": self.users.add("healthd")}

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen, and write the kubeconfig."""
        api = Api(self.store, self._pods, self.users, self.version)
        api.usage, api.summary = self._usage, self._summary
        self._runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        _ = self.kubeconfig

    async def stop(self) -> None:
        """Stop listening; the objects stay as they are."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def kubeconfig(self) -> Path:
        """The path of a kubeconfig for a user who may read everything that is not forbidden."""
        path = self.folder / "kubeconfig"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(self._login("healthd"), file)
        return path

    def namespace(self, name: str) -> Namespace:
        """A namespace to make objects in; created when it is not there."""
        about = {"apiVersion": "v1", "kind": "Namespace", "metadata": manifests.metadata(name)}
        self.store.put({**about, "status": {"phase": "Active"}})
        return Namespace(self.store, name, self._pods, list(self.nodes))

    def node(self, name: str, *, cpu: int = 4, memory: str = "16Gi", **labels: str) -> Node:
        """One more node. Make nodes before the pods that are to be spread over them."""
        made = self.store.put(manifests.node(name, cpu, memory, self.version, labels))
        self.nodes[name] = Node(self.store, made)
        return self.nodes[name]

    def define(self, api_version: str, plural: str, kind: str, *, namespaced: bool = True) -> None:
        """Serve custom resources of another kind; make them with `resource`."""
        group, _, version = api_version.rpartition("/")
        self.store.define(Kind(group, version, plural, kind, namespaced, custom=True))

    def resource(self, manifest: Manifest) -> Manifest:
        """Keep an object as it is; change it in place later (`store.touch` gives it a new version)."""
        return self.store.put(manifest)

    def forbid(self, *resources: str) -> None:
        """From now on nobody may read these ("pods", "pods/log", "certificates"): 403."""
        self.users.forbidden.update(resources)

    def allow(self, *resources: str) -> None:
        """Undo `forbid`."""
        self.users.forbidden.difference_update(resources)

    def stop_metrics_server(self) -> None:
        """Nobody knows any longer what nodes and pods use."""
        self._metrics_server = False

    def start_metrics_server(self) -> None:
        """Undo `stop_metrics_server`."""
        self._metrics_server = True

    def revoke(self) -> None:
        """The kubeconfig's token is no longer accepted: 401."""
        self.users.tokens.pop(self._tokens["healthd"], None)

    def restore(self) -> None:
        """Undo `revoke`."""
        self.users.tokens[self._tokens["healthd"]] = "healthd"

    def _usage(self, plural: str, namespace: str, _: str) -> list[Manifest]:
        if not self._metrics_server:
            refused = f"the server is currently unable to handle the request (get {plural}.metrics.k8s.io)"
            raise RefusedError(503, refused)
        if plural == "nodes":
            return [node_usage(node.manifest, node.cpu, node.memory) for node in self.nodes.values()]
        pods = [pod for place, pod in sorted(self._pods.items()) if not namespace or place[0] == namespace]
        return [pod_usage(pod) for pod in pods if pod.running]

    def _summary(self, name: str) -> Manifest | None:
        if (node := self.nodes.get(name)) is None:
            return None
        mounted = [pod for pod in self._pods.values() if pod.manifest["spec"].get("nodeName") == name]
        return summary(name, node.disk, node.network_errors, mounted)

    def _login(self, user: str) -> dict[str, Any]:
        entry: Sequence[tuple[str, dict[str, Any]]] = (
            ("clusters", {"name": "sandbox", "cluster": {"server": self.url}}),
            ("users", {"name": user, "user": {"token": self._tokens[user]}}),
            ("contexts", {"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}),
        )
        lists = {name: [value] for name, value in entry}
        return {"apiVersion": "v1", "kind": "Config", "current-context": "sandbox", **lists}
