"""The emulated Synk production: a Django site with PostgreSQL in docker-compose on one machine, behind nginx."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import SystemRandom

from healthd.sandbox.parts.certificates import Authority
from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.disk import Disk
from healthd.sandbox.parts.docker import Engine
from healthd.sandbox.parts.dumps import dump
from healthd.sandbox.parts.files import AccessLog, Backups, ErrorLog, Request
from healthd.sandbox.parts.visitors import Visit, Visitors
from healthd.sandbox.synk.application import Application
from healthd.sandbox.synk.deployment import Deployment
from healthd.sandbox.synk.schema import TABLES, USERS
from healthd.sandbox.world import state

_random = SystemRandom()
PROJECT = "synk"
BACKUP_NAME = "synk_backup_{day:%Y%m%d}.sql.gz"
BACKUP_AGE = timedelta(hours=9)  # of the newest: below 24 hours, and yesterday has one of its own, at any time of day
_NIGHTS = 9
_LOG_LINES = 1500  # of the backend's last eight hours
# little is written, so that last night's backup still resembles what is there
_VISITS = (
    Visit(300, "GET", "/"),
    Visit(600, "GET", "/api/items/"),
    Visit(90, "POST", "/accounts/login/"),
    Visit(10, "POST", "/api/items/"),
)
_EVERY_MINUTE = "* * * * *"


class Production:
    """Data in `folder`, logs in `logs`."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder = folder
        self.database = Database(folder, logs / "postgres.log", name="synk", owner="synk", tables=TABLES)
        self.docker = Engine(folder / "docker.sock")
        self.deployment = Deployment(folder / "synk")
        self.disk = Disk(folder / "machine", logs / "disk.log")
        self.backups = Backups(self.deployment.folder / "backups", BACKUP_NAME)
        self.access = AccessLog(folder / "nginx" / "access.log")
        self.errors = ErrorLog(folder / "nginx" / "error.log")
        self.authority = Authority(self.deployment.folder / "tls")
        self.certificate = self.authority.issue("site")
        self._compose()
        backend = self.docker.container("backend")
        self.application = Application(self.certificate, self.database.url, self.access, self.errors, backend)
        self.visitors = Visitors(
            self.application.site.url,
            _VISITS,
            users=USERS,
            body={"password": "correct"},
            trusted=ssl.create_default_context(cafile=self.authority.file),
        )

    async def start(self) -> None:
        """Start everything; returns when all of it answers."""
        self.deployment.make()
        self.access.history(_visits(), timedelta(days=30), timedelta(minutes=15))
        self._log_history()
        await asyncio.gather(
            self.database.start(), self.docker.start(), self.disk.start(), self.application.site.start()
        )
        content = await dump(self.database)
        await asyncio.to_thread(self.backups.fill, content, self.nights())
        self.visitors.start()

    async def stop(self) -> None:
        """Stop everything, users first."""
        await self.visitors.stop()
        parts: tuple[Callable[[], Awaitable[None]], ...] = (
            self.application.close, self.docker.stop, self.disk.stop, self.database.stop,
        )  # fmt: skip
        await asyncio.gather(*(part() for part in parts), return_exceptions=True)

    def nights(self) -> list[datetime]:
        """When backups were made, the newest last."""
        newest = datetime.now(UTC) - BACKUP_AGE
        return [newest - timedelta(days=age) for age in reversed(range(_NIGHTS))]

    def environment(self) -> dict[str, str]:
        """What checks/synk reads, at a pace fit for watching."""
        programs = self.deployment.programs
        return {
            "SYNK_URL": self.application.site.url,
            "SYNK_DATABASE_URL": self.database.monitor_url,
            "SYNK_DOCKER_URL": self.docker.url,
            "SYNK_PROJECT": PROJECT,
            "SYNK_BACKUPS": str(self.backups.folder),
            "SYNK_ACCESS_LOG": str(self.access.file),
            "SYNK_CERTIFICATE": str(self.certificate.file),
            "SYNK_DISK_PATH": str(self.disk.path),
            "SYNK_SECURITY_CHECK": str(programs["security-check"]),
            "SYNK_PIP": str(programs["pip"]),
            "SYNK_PIP_AUDIT": str(programs["pip-audit"]),
            "SYNK_NPM": str(programs["npm"]),
            "SYNK_FRONTEND": str(self.deployment.frontend),
            "SYNK_EVERY": "5s",
            "SYNK_USERS_EVERY": "5s",
            "SYNK_RATE_WINDOW": "15s",
            "SYNK_AGAIN": _EVERY_MINUTE,
            "SYNK_DRILL_AGAIN": "*/5 * * * *",
            "SYNK_DRILL_TIMEOUT": "2m",
            "HEALTHD_ALLOWED_COMMANDS": ",".join(str(path) for path in programs.values()),
            "HEALTHD_SCRATCH_DIR": str(self._scratch()),
            "SSL_CERT_FILE": str(self.authority.bundle()),
        }

    def description(self) -> str:
        """What it is made of, in one line."""
        return "PostgreSQL, a Docker engine, the Synk site over TLS, its backups, logs and programs"

    def parts(self) -> dict[str, str]:
        """Each server with its address, and whether it runs."""
        return {
            "site": state(self.application.site.running, self.application.site.url),
            "PostgreSQL": state(self.database.running, f"127.0.0.1:{self.database.port}"),
            "Docker": state(self.docker.running, self.docker.url),
            "disk": state(self.disk.running, str(self.disk.path)),
        }

    def _compose(self) -> None:
        """The services of docker-compose."""
        self.docker.service(PROJECT, "db", image="postgres:15", cpus=2)
        self.docker.service(PROJECT, "redis", image="redis:7-alpine")
        self.docker.service(PROJECT, "backend", image="synk/backend:1.8", depends_on=("db", "redis"))

    def _log_history(self) -> None:
        backend, now = self.docker.container("backend"), datetime.now(UTC)
        for number in range(_LOG_LINES):
            at = now - timedelta(hours=8) * (1 - number / _LOG_LINES)
            seconds = _random.uniform(0.01, 0.09)
            backend.say(f"INFO request: GET /api/items/ 200 request_time: {seconds:.3f}", at=at)

    def _scratch(self) -> Path:
        scratch = self.folder / "scratch"
        scratch.mkdir(mode=0o755, exist_ok=True)
        return scratch


def _visits() -> Iterator[Request]:
    while True:
        yield Request(path="/api/items/", address=f"203.0.113.{_random.randrange(1, 250)}")
