"""The Kubernetes cluster of the emulated Social Live: three nodes, backend, frontend, ingress."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from healthd.sandbox.parts.kubernetes import Cluster

NAMESPACE = "social-live-prod"
_INGRESS = "ingress-nginx"
_DENIED = '203.0.113.9 - - "GET /api/admin HTTP/1.1" 403 146 "-"'
_LEFT_OVER = "old-config"


class Platform:
    """Its parts by their names; what is there can be broken and mended."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.cluster = Cluster(folder)
        for number in (1, 2, 3):
            self.cluster.node(f"node-{number}")
        self.namespace = self.cluster.namespace(NAMESPACE)
        self.backend = self.namespace.deployment("backend", replicas=3, image="sociallive/backend:latest")
        self.frontend = self.namespace.deployment("frontend", replicas=2, image="sociallive/frontend:latest")
        self.autoscaler = self.namespace.autoscaler(self.backend, least=3, most=50, name="backend-hpa")
        self.certificate = self.namespace.certificate("api-tls", "api.yourdomain.com", "app.yourdomain.com")
        for name in ("active-config", "kube-root-ca.crt"):
            self.namespace.config_map(name, {"version": "1"})
        ingress = self.cluster.namespace(_INGRESS).deployment("nginx-ingress", replicas=1, image="nginx-ingress:1.11")
        ingress.repeat(_DENIED, timedelta(hours=3))
        self.backend.repeat("LOG [Nest] GET /api/feed 200", timedelta(minutes=10))

    @property
    def ingress_namespace(self) -> str:
        return _INGRESS

    def leave_one_behind(self) -> None:
        """A rollout goes on: the last pod still has the image before."""
        status = self.backend.manifest["status"]
        status["updatedReplicas"] = status["replicas"] - 1
        self.cluster.store.touch(self.backend.manifest)

    def warn_of_memory(self) -> None:
        """The backend's middleware logs that its heap is large."""
        self.backend.write("WARN High memory usage detected: { heapUsed: 655360000 }")

    def forget_logs(self) -> None:
        """The backend's logs begin anew."""
        self.backend.clear_logs()
        self.backend.repeat("LOG [Nest] GET /api/feed 200", timedelta(minutes=10))

    def leave_config(self) -> None:
        """A ConfigMap nobody uses is left over."""
        self.namespace.config_map(_LEFT_OVER, {"version": "0"})

    def remove_config(self) -> None:
        """It is deleted."""
        with suppress(KeyError):
            self.cluster.store.delete(self.cluster.store.get("ConfigMap", NAMESPACE, _LEFT_OVER))
