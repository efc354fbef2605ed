"""SyncWatch as a world of the sandbox: what the catalogue needs to find it, and how fast it is watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.sandbox.syncwatch.faults import FAULTS
from healthd.sandbox.syncwatch.production import Production
from healthd.sandbox.world import Fault, state


class SyncWatch(Production):
    """SyncWatch, with what its catalogue reads and what can be broken."""

    name: ClassVar[str] = "syncwatch"
    catalogues: ClassVar[tuple[str, ...]] = ("host", "syncwatch")
    faults: ClassVar[Mapping[str, Fault[Any]]] = FAULTS

    def environment(self) -> dict[str, str]:
        """What the catalogue reads: addresses with credentials, and a pace fit for watching."""
        return {
            **self.aws.environment,
            "KUBECONFIG": str(self.platform.cluster.kubeconfig),
            "SYNCWATCH_API_URL": self.application.url,
            "SYNCWATCH_PROMETHEUS_URL": self.monitoring.url,
            "SYNCWATCH_DATABASE_URL": self.database.monitor_url,
            "SYNCWATCH_REDIS_URL": self.cache.url,
            "SYNCWATCH_DOCKER": self.machine.engine.url,
            "SYNCWATCH_CDN": self.cloud.distribution,
            "SYNCWATCH_LOGIN_EMAIL": "user1@example.com",
            **self._switched_on(),
            **self._pace(),
        }

    def _switched_on(self) -> dict[str, str]:
        """What the catalogue leaves to an installation."""
        return {
            "SYNCWATCH_COMPOSE": "true",
            "SYNCWATCH_AUDIT": "true",
            "SYNCWATCH_NPM": str(self.machine.npm),
            "SYNCWATCH_SOURCES": str(self.machine.sources),
            "HEALTHD_ALLOWED_COMMANDS": str(self.machine.npm),
            "SYNCWATCH_RESTORE_DRILL": "true",
            "SYNCWATCH_POSTGRES_PROGRAMS": str(self.database.binaries),
            "HEALTHD_SCRATCH_DIR": str(self.scratch),
            "SYNCWATCH_LOAD_TEST": "true",
            "SYNCWATCH_LOAD_TEST_URL": self.edge.url,
            "HEALTHD_ALLOWED_LOAD_HOSTS": "127.0.0.1",
        }

    @staticmethod
    def _pace() -> dict[str, str]:
        """Minutes instead of days."""
        return {
            "SYNCWATCH_EVERY": "5s",
            "SYNCWATCH_AGAIN": "* * * * *",
            "SYNCWATCH_BACKUPS_AGAIN": "* * * * *",
            "SYNCWATCH_DRILL_AGAIN": "*/2 * * * *",
            "SYNCWATCH_RATE_WINDOW": "10s",
            "SYNCWATCH_ALERTS_WINDOW": "5s",
            "SYNCWATCH_QUERY_SAMPLE": "2s",
            "SYNCWATCH_FORECAST_OVER": "30s",
            "SYNCWATCH_FORECAST_STEP": "1s",
            "SYNCWATCH_LOAD_REQUESTS": "1000",
            "SYNCWATCH_ACTIVE_USERS_QUERY": "sum(active_users)",
            "SYNCWATCH_UPLOADS_QUERY": "sum(increase(video_uploads_total[1m]))",
            "SYNCWATCH_QUEUE_HOLD": "10s",
            **dict.fromkeys(("SYNCWATCH_LATENCY_HOLD", "SYNCWATCH_LOGIN_HOLD"), "5s"),
            **dict.fromkeys(("SYNCWATCH_ROLLOUT_HOLD", "SYNCWATCH_SCALING_HOLD"), "2s"),
        }

    def description(self) -> str:
        """What it is made of, in one line."""
        return (
            "PostgreSQL, Redis with a standby, AWS (moto), Kubernetes, Docker, the SyncWatch application,"
            f" {self.monitoring.description}"
        )

    def parts(self) -> dict[str, str]:
        """Each server with its address (no credentials), and whether it runs."""
        return {
            "application": state(self.application.running, self.application.url),
            "PostgreSQL": state(self.database.running, f"127.0.0.1:{self.database.port}"),
            "Redis": state(self.cache.running, f"127.0.0.1:{self.cache.port}"),
            "Redis' standby": state(self.standby.running, f"127.0.0.1:{self.standby.port}"),
            "AWS (moto)": state(self.aws.running, self.aws.url),
            "Kubernetes": state(self.platform.cluster.running, self.platform.cluster.url),
            "Docker": state(self.machine.engine.running, self.machine.engine.url),
            "load balancer": state(self.edge.running, self.edge.url),
            "Prometheus": state(self.monitoring.running, self.monitoring.url),
        }
