"""The emulated Social Live production: a platform on Kubernetes, with managed PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import ClientSession

from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.aws.account import Aws
from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.certificates import Authority
from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.dumps import dump
from healthd.sandbox.parts.monitoring import monitoring
from healthd.sandbox.parts.visitors import Visit, Visitors
from healthd.sandbox.social_live.application import Application
from healthd.sandbox.social_live.cluster import NAMESPACE, Platform
from healthd.sandbox.social_live.images import Images
from healthd.sandbox.social_live.rules import RULES
from healthd.sandbox.social_live.schema import TABLES, USERS
from healthd.sandbox.social_live.surroundings import DiskExporter, External, Grafana
from healthd.sandbox.world import state

BUCKET = "social-live-backups"
_NIGHTS = 6
_BACKUP_AGE = timedelta(hours=9)  # of the newest, so that each of the last five days has one
_REGION = "us-east-1"
_SCRAPE_LOOKS = 200
_EVERY_MINUTE = "* * * * *"
_VISITS = (Visit(500, "GET", "/api/feed/{user}"), Visit(470, "GET", "/api/posts"), Visit(10, "POST", "/api/posts"))


class Production:
    """Data in `folder`, logs in `logs`."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder = folder
        self.database = Database(
            folder, logs / "postgres.log", name="sociallive_prod", owner="sociallive", tables=TABLES,
            extensions=("pg_stat_statements",),
        )  # fmt: skip
        self.cache = Cache(logs / "redis.log", options=("--save", "", "--maxmemory-policy", "allkeys-lru"))
        self.aws = Aws(logs / "aws.log")
        self.platform = Platform(folder / "kubernetes")
        self.images = Images(folder / "images")
        self.authority = Authority(folder / "tls")
        certificate = self.authority.issue("ingress")
        self.application = Application(certificate, self.database.url, self.cache)
        self.grafana, self.external, self.exporter = Grafana(), External(), DiskExporter()
        targets = {"backend": self.application.metrics.port, "node-exporter": self.exporter.listener.port}
        self.monitoring = monitoring(targets, RULES, folder, logs)
        trusted = ssl.create_default_context(cafile=self.authority.file)
        self.visitors = Visitors(self.application.api.url, _VISITS, users=USERS // 4, trusted=trusted)
        self._backup = b""
        self._postgres, self._redis = 0, ""  # their major versions

    async def start(self) -> None:
        """Start everything; returns when all of it answers."""
        self.images.make()
        await asyncio.gather(
            self.database.start(), self.cache.start(), self.aws.start(), self.platform.cluster.start(),
            self.application.start(), self.grafana.listener.start(), self.external.listener.start(),
            self.exporter.listener.start(), self.monitoring.start(),
        )  # fmt: skip
        self._postgres = int((await self.database.execute("SHOW server_version_num"))[0][0]) // 10_000
        self._redis = str((await self.cache.client.info("server"))["redis_version"]).partition(".")[0]
        self._backup = gzip.compress(await dump(self.database))
        await self.aws.buckets.create(BUCKET)
        await self.put_backups()
        self.visitors.start()
        await self.maintain()

    async def stop(self) -> None:
        """Stop everything, users first."""
        await self.visitors.stop()
        parts: tuple[Callable[[], Awaitable[None]], ...] = (
            *(self.monitoring.stop, self.application.stop, self.grafana.listener.stop, self.external.listener.stop),
            *(self.exporter.listener.stop, self.platform.cluster.stop, self.aws.stop, self.cache.close),
            self.database.stop,
        )
        await asyncio.gather(*(part() for part in parts), return_exceptions=True)

    async def start_monitoring(self) -> None:
        """Start Prometheus again; returns once it has scraped: of what it never saw it cannot say that it is gone."""
        await self.monitoring.start()
        async with ClientSession() as session:
            for _ in range(_SCRAPE_LOOKS):
                async with session.get(f"{self.monitoring.url}/api/v1/targets") as response:
                    targets = (await response.json())["data"]["activeTargets"]
                if all(target["health"] != "unknown" for target in targets):
                    return
                await asyncio.sleep(0.05)
        raise SandboxError("Prometheus does not scrape")

    async def maintain(self) -> None:
        """What the weekly maintenance does to the database; and statistics of queries begin anew."""
        await self.database.execute("VACUUM ANALYZE")
        await self.database.execute("SELECT pg_stat_statements_reset()")

    async def put_backups(self) -> None:
        """The backups of the last nights, the newest last."""
        for age in reversed(range(_NIGHTS)):
            await self.put_backup(age, self._backup)

    async def put_backup(self, nights_ago: int, content: bytes) -> None:
        """Write the backup of that night: 0 is the newest."""
        key, ago = self._backup_of(nights_ago)
        await self.aws.buckets.put(BUCKET, key, content, ago)

    async def damage_backup(self) -> None:
        """Change bytes in the middle of the newest one."""
        middle = len(self._backup) // 2
        await self.put_backup(0, self._backup[:middle] + bytes(64) + self._backup[middle + 64 :])

    async def lose_backup(self, nights_ago: int) -> None:
        """Delete the backup of that night."""
        await self.aws.buckets.delete(BUCKET, self._backup_of(nights_ago)[0])

    @staticmethod
    def _backup_of(nights_ago: int) -> tuple[str, timedelta]:
        ago = _BACKUP_AGE + timedelta(days=nights_ago)
        return f"database/sociallive_backup_{datetime.now(UTC) - ago:%Y-%m-%d}_020000.sql.gz", ago

    def environment(self) -> dict[str, str]:
        """What checks/social-live reads, at a pace fit for watching."""
        return {
            **self.aws.environment,
            "SOCIAL_LIVE_API_URL": self.application.api.url,
            "SOCIAL_LIVE_APP_URL": self.application.web.url,
            "SOCIAL_LIVE_GRAFANA_URL": self.grafana.listener.url,
            "SOCIAL_LIVE_GRAFANA_TOKEN": self.grafana.token,
            "SOCIAL_LIVE_PROMETHEUS_URL": self.monitoring.url,
            "SOCIAL_LIVE_EXTERNAL_URL": f"{self.external.listener.url}/health",
            "SOCIAL_LIVE_DATABASE_URL": self.database.monitor_url,
            "SOCIAL_LIVE_REDIS_URL": self.cache.url,
            "SOCIAL_LIVE_NAMESPACE": NAMESPACE,
            "SOCIAL_LIVE_INGRESS_NAMESPACE": self.platform.ingress_namespace,
            "SOCIAL_LIVE_BACKUP_BUCKET": BUCKET,
            "SOCIAL_LIVE_AWS_REGION": _REGION,
            "SOCIAL_LIVE_TRIVY": "true",
            "SOCIAL_LIVE_TRIVY_PROGRAM": str(self.images.trivy),
            # the documented PostgreSQL 15 and Redis 7 are not to be had everywhere: those that run are the right ones
            "SOCIAL_LIVE_POSTGRES": f"{self._postgres}0000",
            "SOCIAL_LIVE_POSTGRES_NEXT": f"{self._postgres + 1}0000",
            "SOCIAL_LIVE_REDIS": self._redis,
            "KUBECONFIG": str(self.platform.cluster.kubeconfig),
            "SSL_CERT_FILE": str(self.authority.bundle()),
            "HEALTHD_ALLOWED_COMMANDS": str(self.images.trivy),
            "HEALTHD_SCRATCH_DIR": str(self._scratch()),
            **self._pace(),
        }

    @staticmethod
    def _pace() -> dict[str, str]:
        holds = ("ERROR", "DOWN", "RESPONSE", "MEMORY", "SCALING", "UNABLE", "ROLLOUT")
        return {
            "SOCIAL_LIVE_EVERY": "5s",
            "SOCIAL_LIVE_RATE_WINDOW": "6s",
            **{f"SOCIAL_LIVE_{hold}_HOLD": "3s" for hold in holds},
            "SOCIAL_LIVE_AGAIN": _EVERY_MINUTE,
            "SOCIAL_LIVE_DRILL_AGAIN": "*/5 * * * *",
            "SOCIAL_LIVE_DRILL_TIMEOUT": "2m",
        }

    def description(self) -> str:
        """What it is made of, in one line."""
        return (
            "PostgreSQL, Redis, a Kubernetes API, S3 (moto), the Social Live API and site, Grafana's API,"
            f" {self.monitoring.description}"
        )

    def parts(self) -> dict[str, str]:
        """Each server with its address, and whether it runs."""
        listeners = {
            "API": self.application.api,
            "site": self.application.web,
            "Grafana": self.grafana.listener,
            "external service": self.external.listener,
        }
        return {
            **{name: state(listener.running, listener.url) for name, listener in listeners.items()},
            "Kubernetes": state(self.platform.cluster.running, self.platform.cluster.url),
            "PostgreSQL": state(self.database.running, f"127.0.0.1:{self.database.port}"),
            "Redis": state(self.cache.running, f"127.0.0.1:{self.cache.port}"),
            "AWS (moto)": state(self.aws.running, self.aws.url),
            "Prometheus": state(True, self.monitoring.url),
        }

    def _scratch(self) -> Path:
        scratch = self.folder / "scratch"
        scratch.mkdir(mode=0o755, exist_ok=True)
        return scratch
