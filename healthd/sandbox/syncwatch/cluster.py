"""SyncWatch's Kubernetes cluster: three nodes, backend, frontend and transcoder, the clean-up job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from healthd.sandbox.parts.kubernetes import Cluster

NAMESPACE = "syncwatch-production"
_MINUTE = timedelta(minutes=1)


class Platform:
    """What is in the cluster when all is well."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.cluster = Cluster(folder)
        self.nodes = [self.cluster.node(f"node-{number}") for number in (1, 2, 3)]
        namespace = self.cluster.namespace(NAMESPACE)
        self.backend = namespace.deployment("syncwatch-backend", replicas=3)
        self.frontend = namespace.deployment("syncwatch-frontend", replicas=2)
        self.transcoder = namespace.deployment("syncwatch-transcoder", replicas=2)
        self.autoscaler = namespace.autoscaler(self.backend, least=3, most=10)
        self.cleanup = namespace.cron_job("video-cleanup", "0 3 * * *")
        self.write_usual_logs()

    def write_usual_logs(self) -> None:
        """Logs as they are on a good day, with nothing else in them."""
        for workload in (self.backend, self.frontend, self.transcoder):
            workload.clear_logs()
        self.backend.repeat("info: GET /api/videos 200 request_duration 42", _MINUTE)
        self.backend.repeat("info: client disconnected", timedelta(minutes=7))
        self.transcoder.repeat("info: job done", timedelta(minutes=3))
