"""SyncUp's AWS account: what is in it when all is well, and what of it can be changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from healthd.sandbox.parts.aws.account import Aws

INSTANCE, DATABASE, CACHE = "i-0syncup", "syncup-production", "syncup-production"
BUCKET, REPLICA = "syncup-backups", "syncup-backups-eu"
LOGS, API_LOGS = "/syncup/production", "/syncup/production/api"
ORIGIN = "syncup.example.com"
SECRETS = ("syncup/database", "syncup/nextauth", "syncup/openai", "syncup/slack")
KEPT_DAYS = 5  # of backups: fewer than in production, where it is 30
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_HOURLY, _DAILY = timedelta(minutes=20), timedelta(hours=2, minutes=30)  # ages of the newest backups
_INCREMENT = 20_000  # bytes
_GIB = 2**30
_SERVER = {"InstanceId": INSTANCE}
_DISK = {"InstanceId": INSTANCE, "path": "/"}

# metric: namespace, dimensions, level
_METRICS = {
    "StatusCheckFailed": ("AWS/EC2", _SERVER, 0.0),
    "CPUUtilization": ("AWS/EC2", _SERVER, 34.0),
    "mem_used_percent": ("CWAgent", _SERVER, 58.0),
    "disk_used_percent": ("CWAgent", _DISK, 61.0),
    "FreeStorageSpace": ("AWS/RDS", {"DBInstanceIdentifier": DATABASE}, 62.0 * _GIB),
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What CloudFront measures: requests, errors (5xx, %), latency of the origin (ms)."""

    per_minute: float = 9000
    errors: float = 0.2
    p50: float = 90
    p99: float = 700


class Scene:
    """Everything in the account."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.distribution = ""
        self._group = ""
        self._dump = b""
        self._traffic = Traffic()
        self._levels: dict[str, float] = {}
        self._silent: dict[str, timedelta | None] = {}
        self._started = datetime.now(UTC)

    async def start(self) -> None:
        """Set it, but for the full backups."""
        await self.aws.buckets.create(BUCKET, expire=30, replicate_to=REPLICA)
        await self.put_incremental((KEPT_DAYS + 2) * 24)
        await self.aws.databases.create(DATABASE, retention=30)
        await self.aws.caches.create(CACHE)
        for metric in _METRICS:
            await self._send(metric)
        self.distribution = await self.aws.network.distribution(ORIGIN)
        await self.change_traffic()
        for group in (LOGS, API_LOGS):
            await self.logs(group)
        self._group = await self.aws.network.security_group("syncup-web", 80, 443)
        for name in SECRETS:
            await self.aws.identity.secret(name, rotated=timedelta(days=40))

    async def keep(self, dump: bytes) -> None:
        """Put the full backups in, each of which holds this, compressed."""
        self._dump = dump
        await self.put_full(KEPT_DAYS + 2)

    async def metric(self, name: str, value: float | None = None) -> None:
        """Put a metric of a machine to a level; None: to what is usual."""
        self._levels[name] = _METRICS[name][2] if value is None else value
        await self._send(name)

    async def silence(self, name: str, since: timedelta | None) -> None:
        """Send a metric no longer, since a while ago; None: send it again."""
        self._silent[name] = since
        await self._send(name)

    async def _send(self, name: str) -> None:
        namespace, dimensions, usual = _METRICS[name]
        level = self._levels.get(name, usual)
        await self.aws.metrics.put(namespace, name, dimensions, level, silent_for=self._silent.get(name))

    async def change_traffic(self, **changed: float) -> None:
        """Change some of what CloudFront measures."""
        self._traffic = now = replace(self._traffic, **changed)
        where = {"DistributionId": self.distribution, "Region": "Global"}
        levels = {"Requests": now.per_minute, "5xxErrorRate": now.errors, "4xxErrorRate": 1.5, "CacheHitRate": 88}
        for metric, value in levels.items():
            await self.aws.metrics.put("AWS/CloudFront", metric, where, value)
        percentiles = {"p50": now.p50, "p99": now.p99}
        await self.aws.metrics.put("AWS/CloudFront", "OriginLatency", where, now.p50, percentiles=percentiles)

    async def usual_traffic(self, *names: str) -> None:
        """Put these back to what is usual."""
        await self.change_traffic(**{name: getattr(Traffic(), name) for name in names})

    async def logs(self, group: str, *, silent_for: timedelta | None = None) -> None:
        """Lines of the application, now and then an error. `silent_for`: how long none has come."""
        await self.aws.logs.group(group, retention=30, size=4 * _GIB)
        await self.aws.logs.clear(group)
        await self.aws.logs.repeat(
            group, "INFO GET /api/meetings 200 42ms", timedelta(seconds=30), silent_for=silent_for
        )
        await self.aws.logs.repeat(
            group, "ERROR OpenAI timed out, trying again", timedelta(hours=3), silent_for=silent_for
        )

    async def put_incremental(self, hours: int, first: int = 0) -> None:
        """The backups of so many hours, from the newest (0) or a later one on."""
        for hour in range(first, first + hours):
            age = _HOURLY + hour * _HOUR
            await self.aws.buckets.put(BUCKET, self._named(age, "incremental", ".wal.gz"), _INCREMENT, age)

    async def put_full(self, days: int, first: int = 0) -> None:
        """The full backups of so many days."""
        for day in range(first, first + days):
            age = _DAILY + day * _DAY
            await self.aws.buckets.put(BUCKET, self._named(age, "backup", ".sql.gz"), self._dump, age)

    async def put_newest_backup(self, content: bytes) -> None:
        """Write the newest full backup anew."""
        await self.aws.buckets.put(BUCKET, self._named(_DAILY, "backup", ".sql.gz"), content, _DAILY)

    async def restore_newest_backup(self) -> None:
        """Write it as it was."""
        await self.put_full(1)

    async def delete_incremental(self, hours: int, first: int = 0) -> None:
        """Delete such backups."""
        for hour in range(first, first + hours):
            await self.aws.buckets.delete(BUCKET, self._named(_HOURLY + hour * _HOUR, "incremental", ".wal.gz"))

    async def delete_full(self, days: int, first: int = 0) -> None:
        """Delete such backups."""
        for day in range(first, first + days):
            await self.aws.buckets.delete(BUCKET, self._named(_DAILY + day * _DAY, "backup", ".sql.gz"))

    async def open_port(self, port: int) -> None:
        """Let everybody in at a port."""
        await self.aws.network.open_port(self._group, port)

    async def close_port(self, port: int) -> None:
        """Let nobody in there."""
        await self.aws.network.close_port(self._group, port)

    def truncated_backup(self) -> bytes:
        """The first third of a full backup."""
        return self._dump[: len(self._dump) // 3]

    def damaged_backup(self) -> bytes:
        """As large as a full backup, with some bytes of it wrong."""
        middle = len(self._dump) // 2
        return self._dump[:middle] + bytes(200) + self._dump[middle + 200 :]

    def _named(self, age: timedelta, kind: str, suffix: str) -> str:
        return f"{kind}_{self._started - age:%Y_%m_%d_%H%M%S}{suffix}"
