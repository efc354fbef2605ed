"""The emulated SyncUp as a world of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.sandbox.syncup.faults import FAULTS
from healthd.sandbox.syncup.production import Production
from healthd.sandbox.syncup.scene import KEPT_DAYS
from healthd.sandbox.world import Fault, state


class SyncUp(Production):
    """SyncUp, with what its catalogue reads and what can be broken."""

    name: ClassVar[str] = "syncup"
    catalogues: ClassVar[tuple[str, ...]] = ("host", "syncup")
    faults: ClassVar[Mapping[str, Fault[Any]]] = FAULTS

    def environment(self) -> dict[str, str]:
        """What the catalogue reads: addresses with credentials, and a pace fit for watching."""
        return {
            **self.aws.environment,
            "SYNCUP_URL": self.application.site.url,
            "SYNCUP_MONITORING_URL": self.services.monitoring_url,
            "SYNCUP_STATUS_PAGE_URL": self.services.status_url,
            "SYNCUP_OPENAI_URL": self.services.openai_url,
            "SYNCUP_DATADOG": "true",
            "SYNCUP_DATADOG_URL": self.services.datadog_url,
            "SYNCUP_DATADOG_API_KEY": self.services.datadog_key,
            "SYNCUP_DATADOG_APP_KEY": self.services.datadog_key,
            "SYNCUP_DATABASE_URL": self.database.monitor_url,
            # 127.0.0.2 stands for another machine
            "SYNCUP_DATABASE_OWN_ADDRESSES": "127.0.0.1/32",
            "SYNCUP_REDIS_URL": self.cache.url,
            "SYNCUP_DISTRIBUTION_ID": self.scene.distribution,
            "SYNCUP_ENV_FILE": str(self.host.env_file),
            "SYNCUP_SOURCE": str(self.host.source),
            "SYNCUP_NPM": str(self.host.npm),
            "HEALTHD_ALLOWED_COMMANDS": str(self.host.npm),
            "HEALTHD_SCRATCH_DIR": str(self.scratch),
            "SYNCUP_EVERY": "5s",
            "SYNCUP_METRIC_PERIOD": "1s",
            "SYNCUP_CPU_PERIOD": "5s",
            "SYNCUP_HOURLY": "* * * * *",
            "SYNCUP_AGAIN": "* * * * *",
            "SYNCUP_DRILL_AGAIN": "*/2 * * * *",
            "SYNCUP_DRILL_TIMEOUT": "2m",
            "SYNCUP_QUERY_SAMPLE": "2s",
            "SYNCUP_QUERY_TIMEOUT": "5s",
            "SYNCUP_BACKUP_DAYS": str(KEPT_DAYS),
        }

    def description(self) -> str:
        """What it is made of, in one line."""
        return "PostgreSQL with a replica, Redis, AWS (moto), the SyncUp application, the sites it depends on"

    def parts(self) -> dict[str, str]:
        """Each server with whether it runs and its address, without credentials."""
        return {
            "application": state(self.application.site.running, self.application.site.url),
            "PostgreSQL": state(self.database.running, f"127.0.0.1:{self.database.port}"),
            "replica": state(self.replica.running, f"127.0.0.1:{self.replica.port}"),
            "Redis": state(self.cache.running, f"127.0.0.1:{self.cache.port}"),
            "AWS (moto)": state(self.aws.running, self.aws.url),
            "monitoring, status page, OpenAI, DataDog": state(
                self.services.sites.running, f"127.0.0.1:{self.services.sites.port}"
            ),
        }
