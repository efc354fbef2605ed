"""SyncWatch's AWS account: what is in it when all is well, and what of it can be changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from healthd.sandbox.parts.aws.account import Aws

DATABASE = BALANCER = "syncwatch-production"
BACKUPS, VIDEOS = "syncwatch-backups", "syncwatch-videos"
LOGS, FRONTEND_LOGS = "/aws/ecs/syncwatch-backend", "/aws/ecs/syncwatch-frontend"
ROLE, SECRET, BLOCKLIST = "syncwatch-backend", "syncwatch-production/database", "syncwatch-blocklist"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
SLOW_LOG = "slowquery/postgresql.log"
SNAPSHOTS = 8
_DAYS = 4  # of backups
_RDB = 300_000  # bytes of a Redis snapshot
_GIB = 2**30
_COSTS = {"Amazon Elastic Compute Cloud": 40.0, "Amazon Relational Database Service": 25.0, "Amazon CloudFront": 10.0}


class Cloud:
    """Everything in the account."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.distribution = ""
        self.targets: list[str] = []
        self._group = self._policy = ""
        self._unattached: dict[str, str] = {}
        self._dump = b""

    async def start(self, dump: bytes) -> None:
        """Set it. `dump`: what a backup of the database holds."""
        self._dump = dump
        await self.aws.buckets.create(BACKUPS)
        await self.aws.buckets.create(VIDEOS, versioning=True, expire=3)
        for day in reversed(range(_DAYS)):  # as they came: the newest is the last that was written
            await self.put_backups(timedelta(days=day))
        await self._databases()
        self.targets = await self.aws.network.balancer(BALANCER)
        self.distribution = await self.aws.network.distribution("media.syncwatch.com")
        await self.hit_rate(94)
        for group in (LOGS, FRONTEND_LOGS):
            await self.log_group(group)
        await self.aws.network.ip_set(BLOCKLIST, "203.0.113.0/24")
        self._group = await self.aws.network.security_group("syncwatch-balancer", 80, 443)
        await self.aws.identity.secret(SECRET, rotated=timedelta(days=12))
        await self.aws.identity.role(ROLE)
        await self.aws.identity.user("syncwatch-ci")
        await self.spend(1)

    async def _databases(self) -> None:
        await self.aws.databases.create(DATABASE, retention=7, replica_regions=1)
        await self.aws.databases.snapshots(DATABASE, SNAPSHOTS)
        await self.storage_free(0.6)
        await self.slow_log()

    async def put_backups(self, ago: timedelta = timedelta(0), dump: bytes | None = None) -> None:
        """Write the backups of a day, in that day's folder; the database's may hold something else."""
        content = self._dump if dump is None else dump
        await self.aws.buckets.put(BACKUPS, _key(ago, "syncwatch_{:%Y%m%d}.dump"), content)
        await self.aws.buckets.put(BACKUPS, _key(ago, "redis_{:%Y%m%d}.rdb"), _RDB)

    async def delete_backups(self) -> None:
        """Delete today's."""
        for name in ("syncwatch_{:%Y%m%d}.dump", "redis_{:%Y%m%d}.rdb"):
            await self.aws.buckets.delete(BACKUPS, _key(timedelta(0), name))

    def truncated(self) -> bytes:
        """A hundredth of the database's backup."""
        return self._dump[: len(self._dump) // 100]

    def damaged(self) -> bytes:
        """As large as the database's backup, with some bytes of its middle wrong."""
        middle = len(self._dump) // 2
        return self._dump[:middle] + bytes(400) + self._dump[middle + 400 :]

    async def storage_free(self, share: float) -> None:
        """How much of RDS' 100 GiB is free."""
        where = {"DBInstanceIdentifier": DATABASE}
        await self.aws.metrics.put("AWS/RDS", "FreeStorageSpace", where, share * 100 * _GIB)

    async def slow_log(self, *queries: str) -> None:
        """What stands in RDS' log of slow queries."""
        lines = ["{now} UTC:10.0.0.7(41234):syncwatch@syncwatch:[311]:LOG:  checkpoint complete"]
        prefix = "{now} UTC:10.0.0.7(41234):syncwatch@syncwatch:[311]:LOG:  duration: 4213.500 ms  statement: "
        await self.aws.databases.log(DATABASE, SLOW_LOG, "\n".join([*lines, *(prefix + q for q in queries)]) + "\n")

    async def log_group(self, group: str) -> None:
        """A log group with requests that were answered well."""
        await self.aws.logs.group(group, retention=30, size=2 * _GIB)
        await self.aws.logs.clear(group)
        await self.aws.logs.repeat(group, "198.51.100.7 GET /api/videos 200", timedelta(minutes=10))
        await self.aws.logs.repeat(group, "198.51.100.9 GET /api/rooms/GONE0000 403", timedelta(hours=6))

    async def attack(self, times: int) -> None:
        """One address tries passwords."""
        await self.aws.logs.write(LOGS, *["203.0.113.66 POST /api/auth/login 401"] * times, ago=timedelta(minutes=3))

    async def hit_rate(self, percent: float) -> None:
        """How many requests the CDN answers by itself."""
        where = {"DistributionId": self.distribution, "Region": "Global"}
        for metric, value in (("CacheHitRate", percent), ("Requests", 5000.0), ("4xxErrorRate", 0.5)):
            await self.aws.metrics.put("AWS/CloudFront", metric, where, value)

    async def spend(self, factor: float) -> None:
        """What the account costs from this month on, as a multiple of what it cost before."""
        first = datetime.now(UTC).date().replace(day=1)
        for service, usual in _COSTS.items():
            await self.aws.costs.put(service, usual)
            if factor != 1:
                await self.aws.costs.put(service, usual * factor, since=first)

    async def set_targets(self, state: str) -> None:
        """How the load balancer finds all of its targets."""
        for target in self.targets:
            await self.aws.network.target(target, state)

    async def open_port(self, port: int) -> None:
        """Let everybody in at a port."""
        await self.aws.network.open_port(self._group, port)

    async def close_port(self, port: int) -> None:
        """Let nobody in there."""
        await self.aws.network.close_port(self._group, port)

    async def add_policy(self) -> None:
        """Make a policy that allows everything."""
        self._policy = await self.aws.identity.policy("syncwatch-everything", POLICY)

    async def remove_policy(self) -> None:
        """Delete it."""
        if self._policy:
            await self.aws.identity.remove_policy(self._policy)
            self._policy = ""

    async def leave_unattached(self) -> None:
        """Leave a volume and an address behind."""
        self._unattached = await self.aws.network.unattached(ago=timedelta(days=20))

    async def release_unattached(self) -> None:
        """Delete them."""
        if self._unattached:
            await self.aws.network.release(self._unattached)
            self._unattached = {}


def _key(ago: timedelta, name: str) -> str:
    day = datetime.now(UTC) - ago
    return f"{day:%Y-%m-%d}/{name.format(day)}"
