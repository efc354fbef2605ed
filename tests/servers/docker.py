"""A real Docker engine of the tests' own: its own data, its own socket, no network, images made on the spot.

It needs root, as every engine does, and takes nothing from a registry.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.servers.process import Process, free_port

PROGRAMS = ("dash", "sleep", "cat")
IMAGE = "tiny:1"


class DockerEngine:
    """One engine. `stop` and `start` keep its data; `port` makes it listen on loopback too."""

    def __init__(self, *, port: int | None = None) -> None:
        daemon = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if daemon is None:
            raise RuntimeError("no dockerd here: install Debian's docker.io package (make test does it as root)")
        if os.geteuid() != 0:
            raise RuntimeError("the Docker engine runs as root only: run these tests as root")
        # not pytest's folder: a socket's path is limited to 107 bytes
        self.folder = Path(tempfile.mkdtemp(prefix="healthd-docker-"))
        self.socket = self.folder / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.port = port
        self._names = 0
        hosts = [f"--host={self.url}", *([f"--host=tcp://127.0.0.1:{port}", "--tls=false"] if port else [])]
        self._process = Process(
            [
                *(daemon, "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"),
                *(f"--data-root={self.folder / 'data'}", f"--exec-root={self.folder / 'exec'}"),
                *(f"--pidfile={self.folder / 'pid'}", f"--config-file={self._configuration()}", *hosts),
            ],
            self.folder / "engine.log",
        )

    def start(self) -> DockerEngine:
        """Start and wait until it answers."""
        self._process.start()
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("GET", "/_ping")
            except OSError:
                if time.monotonic() > deadline or not self._process.running():
                    log = self._process.log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the Docker engine does not start:\n{log}") from None
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        """End it with its containers."""
        if self._process.running():
            for container in json.loads(self.ask("GET", "/containers/json?all=1")):
                self.ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        self._process.stop(signal.SIGTERM)

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        for line in Path("/proc/mounts").read_text().splitlines():
            if (mount := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> bytes:
        """One request of its API; the answer's body. Raises AssertionError for a refusal."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = _UnixConnection(str(self.socket))
        try:
            connection.request(method, path, content, {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status < 400, f"{method} {path}: {response.status} {answer.decode(errors='replace')}"
        return answer

    def load_image(self, tag: str = IMAGE, *, extra: Mapping[str, bytes] | None = None) -> str:
        """An image of a shell, sleep and cat, and the files in `extra`; its id."""
        repo, _, version = tag.partition(":")
        where = urlencode({"fromSrc": "-", "repo": repo, "tag": version})
        answer = self.ask("POST", f"/images/create?{where}", _tree(extra or {}), kind="application/x-tar")
        return str(json.loads(answer)["status"])

    def run(
        self,
        script: str,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        start: bool = True,
        options: Mapping[str, Any] | None = None,
        host: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a container that runs a shell script; its name. `options` and `host` are the API's own fields."""
        self._names += 1
        name = name or f"box{self._names}"
        config = {
            "Image": IMAGE,
            "Cmd": ["/bin/sh", "-c", script],
            "Labels": dict(labels or {}),
            "HostConfig": {"NetworkMode": "none", **(host or {})},
            "StopTimeout": 0,
            **(options or {}),
        }
        self.ask("POST", f"/containers/create?name={name}", config)
        if start:
            self.ask("POST", f"/containers/{name}/start")
        return name

    def service(self, project: str, service: str, script: str = "exec sleep 1000", **more: Any) -> str:
        """A container as `docker compose up` makes it."""
        labels = {
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.oneoff": "False",
            **more.pop("labels", {}),
        }
        return self.run(script, name=more.pop("name", f"{project}-{service}-1"), labels=labels, **more)

    def inspect(self, name: str) -> Any:
        """What the engine says of a container."""
        return json.loads(self.ask("GET", f"/containers/{name}/json"))

    def wait(self, name: str) -> None:
        """Until it has ended (and is not started again)."""
        self.ask("POST", f"/containers/{name}/wait")

    def wait_until(self, name: str, state: str) -> None:
        """Until its state or its health is that."""
        deadline = time.monotonic() + 20
        while True:
            found = self.inspect(name)["State"]
            if state in (found["Status"], (found.get("Health") or {}).get("Status")):
                return
            assert time.monotonic() < deadline, f"{name} is not {state}: {found}"
            time.sleep(0.03)

    def clear(self) -> None:
        """Remove every container, and every image but the first."""
        for container in json.loads(self.ask("GET", "/containers/json?all=1")):
            self.ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for image in json.loads(self.ask("GET", "/images/json?all=1")):
            if IMAGE not in (image["RepoTags"] or ()):
                self.ask("DELETE", f"/images/{image['Id']}?force=1")
        self.ask("POST", "/volumes/prune")

    def _configuration(self) -> Path:
        """An empty one: /etc/docker/daemon.json is not for us."""
        path = self.folder / "daemon.json"
        path.write_text("{}")
        return path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _tree(extra: Mapping[str, bytes]) -> bytes:
    """A root file system of this machine's own programs and the libraries they need, as a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for inside, path in _programs().items():
            archive.add(os.path.realpath(path), inside)
        for folder in ("tmp", "proc", "dev", "sys", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, data in extra.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _programs() -> dict[str, str]:
    """Where each file is to stand in the image: where it stands here."""
    files: dict[str, str] = {}
    for program in PROGRAMS:
        path = shutil.which(program)
        assert path is not None, f"no {program} here"
        files[f"bin/{'sh' if program == 'dash' else program}"] = path
        files |= {library.lstrip("/"): library for library in _libraries(path)}
    return files


def _libraries(program: str) -> list[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """One running engine for the session, on a socket and on loopback, with the image `tiny:1`."""
    engine = DockerEngine(port=free_port())
    try:
        engine.start().load_image()
        yield engine
    finally:
        engine.remove()


@pytest.fixture
def docker(docker_engine: DockerEngine) -> Iterator[DockerEngine]:
    """The same engine, without containers and other images."""
    docker_engine.clear()
    yield docker_engine
    docker_engine.clear()
