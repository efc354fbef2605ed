"""Engines that are away, forbid, speak another version, hang or talk nonsense."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.docker.conftest import Look, Scripted
from tests.component.looking import looking, values
from tests.servers.docker import DockerEngine

KINDS = {
    "docker_compose": {"project": "shop"},
    "docker_containers": {},
    "docker_logs": {"name": "web", "pattern": "x"},
    "docker_disk": {},
}


@pytest.fixture
def lonely() -> Look:
    """Looking without an engine of ours."""

    async def ask(kind: str, *, timeout: timedelta = timedelta(seconds=5), **params: object) -> object:
        async with looking(PROBES[kind]) as looker:
            looker.timeout = timeout
            return await looker(**params)

    return ask  # type: ignore[return-value]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_socket(kind: str, lonely: Look, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"there is no socket .*is Docker installed and running") as caught:
        await lonely(kind, url=f"unix://{tmp_path}/none.sock", **KINDS[kind])
    assert caught.value.kind == "missing"


@pytest.mark.probe_failure("docker_compose")
async def test_a_compose_project_on_an_engine_that_is_not_running(lonely: Look, tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    socket.socket(socket.AF_UNIX).bind(str(path))
    with pytest.raises(ProbeError, match="the Docker engine is not running") as caught:
        await lonely("docker_compose", url=str(path), project="shop")
    assert caught.value.kind == "refused"


async def test_nobody_listens(lonely: Look, tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    socket.socket(socket.AF_UNIX).bind(str(path))
    with pytest.raises(ProbeError, match=r"nothing listens on .*: the Docker engine is not running") as caught:
        await lonely("docker_disk", url=str(path))
    assert caught.value.kind == "refused"
    (tmp_path / "file").write_text("")
    with pytest.raises(ProbeError, match="is not a socket"):
        await lonely("docker_disk", url=str(tmp_path / "file"))
    with pytest.raises(ProbeError, match="connection refused"):
        await lonely("docker_disk", url="tcp://127.0.0.1:1")


LOOK = """
import asyncio, os, sys
from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import looking

async def look():
    async with looking(PROBES["docker_disk"]) as look:
        try:
            print(len((await look(url=sys.argv[1])).measurements), "measures")
        except ProbeError as error:
            print(error.kind, error.reason)

asyncio.run(look())
os.setgroups([]); os.setgid(65534); os.setuid(65534)
asyncio.run(look())
"""


def test_a_socket_that_others_own(docker_engine: DockerEngine) -> None:
    docker_engine.folder.chmod(0o755)
    docker_engine.socket.chmod(0o660)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, docker_engine.url],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    first, second = done.stdout.splitlines() or [done.stderr, ""]
    assert first == "20 measures"
    assert second.startswith(f"forbidden forbidden: healthd may not use {docker_engine.socket}")
    assert "its user must be in the group " in second


async def test_on_the_network_and_over_the_socket(docker: DockerEngine, look: Look) -> None:
    docker.run("exec sleep 1000", name="web")
    for url in (docker.url, str(docker.socket), f"tcp://127.0.0.1:{docker.port}", f"http://127.0.0.1:{docker.port}/"):
        assert values(await look("docker_containers", url=url))["running"] == 1


async def test_checks_of_one_batch_ask_once(scripted: Scripted) -> None:
    scripted.answers["/v1.41/containers/json"] = (200, {}, "[]")
    async with looking(PROBES["docker_containers"]) as look:
        await asyncio.gather(*(look(url=scripted.url, name=f"web{n}") for n in range(20)))
    assert scripted.asked.count("/v1.41/containers/json") == 1


async def test_the_version_that_both_know(scripted: Scripted, look: Look) -> None:
    for offered, spoken in (("1.24", "1.24"), ("1.41", "1.41"), ("1.99", "1.47"), ("2.0", "1.47")):
        scripted.answers["/_ping"] = (200, {"Api-Version": offered}, "OK")
        scripted.answers[f"/v{spoken}/containers/json"] = (200, {}, "[]")
        assert values(await look("docker_containers", url=scripted.url))["count"] == 0
    scripted.answers["/_ping"] = (200, {"Api-Version": "1.12"}, "OK")
    with pytest.raises(ProbeError, match=r"speaks API 1\.12: 1\.24 or newer is needed") as caught:
        await look("docker_containers", url=scripted.url)
    assert caught.value.kind == "unsupported"


async def test_an_engine_replaced_by_another_version(scripted: Scripted) -> None:
    scripted.answers["/v1.41/containers/json"] = (200, {}, "[]")
    async with looking(PROBES["docker_containers"]) as look:
        await look(url=scripted.url)
        too_old = '{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}'
        scripted.answers["/v1.41/containers/json"] = (400, {}, too_old)
        look.shared.clear()
        with pytest.raises(ProbeError, match="too old"):  # it still offers what it does not take
            await look(url=scripted.url)
        scripted.answers["/_ping"] = (200, {"Api-Version": "1.45"}, "OK")
        scripted.answers["/v1.45/containers/json"] = (200, {}, "[]")
        look.shared.clear()
        assert values(await look(url=scripted.url))["count"] == 0


async def test_an_engine_that_goes_and_comes_back() -> None:
    engine = DockerEngine()
    try:
        engine.start()
        async with looking(PROBES["docker_disk"]) as look:
            assert values(await look(url=engine.url))["images"] == 0
            engine.stop()
            look.shared.clear()
            with pytest.raises(ProbeError, match="is Docker installed and running"):
                await look(url=engine.url)
            engine.start()
            look.shared.clear()
            assert values(await look(url=engine.url))["images"] == 0
    finally:
        engine.remove()


async def test_a_proxy_that_forbids(scripted: Scripted, look: Look) -> None:
    scripted.answers["/v1.41/containers/json"] = (403, {}, "<html>Forbidden</html>")
    with pytest.raises(ProbeError, match=r"forbidden: needs GET /containers/json on unix://") as caught:
        await look("docker_containers", url=scripted.url)
    assert caught.value.kind == "forbidden"
    scripted.answers |= {"/_ping": (403, {}, ""), "/containers/json": (200, {}, "[]")}
    assert values(await look("docker_containers", url=scripted.url))["count"] == 0


@pytest.mark.parametrize("body", ["[", "[{}]", "3", '{"message": "hello"}', '[{"Id": []}, 3]'])
async def test_answers_that_make_no_sense(scripted: Scripted, look: Look, body: str) -> None:
    scripted.answers["/v1.41/containers/json"] = (200, {}, body)
    with pytest.raises(ProbeError, match="cannot be understood") as caught:
        await look("docker_containers", url=scripted.url)
    assert caught.value.kind == "protocol"


async def test_something_that_is_no_engine(scripted: Scripted, look: Look) -> None:
    scripted.answers["/_ping"] = (200, {}, "pong")
    with pytest.raises(ProbeError, match="is not a Docker engine"):
        await look("docker_containers", url=scripted.url)


@pytest.mark.probe_failure("docker_disk")
async def test_an_engine_that_fails(scripted: Scripted, look: Look) -> None:
    scripted.answers["/v1.41/system/df"] = (500, {}, '{"message":"a disk usage operation is already running"}')
    with pytest.raises(ProbeError, match=r"failed at GET /system/df \(500\): a disk usage operation") as caught:
        await look("docker_disk", url=scripted.url)
    assert caught.value.kind == "unavailable"


async def test_a_container_that_goes_meanwhile(scripted: Scripted, look: Look) -> None:
    listed = [{"Id": "abc", "Names": ["/web"], "State": "running", "Status": "Up", "Labels": None}]
    scripted.answers["/v1.41/containers/json"] = (200, {}, json.dumps(listed))
    assert values(await look("docker_containers", url=scripted.url))["count"] == 0
    assert values(await look("docker_logs", url=scripted.url, name="web", pattern="x"))["containers"] == 0


async def test_an_engine_that_hangs(lonely: Look, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "d.sock"))
        listening.listen(5)
        began = time.monotonic()
        with pytest.raises(ProbeError, match="no answer within 300ms") as caught:
            await lonely("docker_disk", url=str(tmp_path / "d.sock"), timeout=timedelta(milliseconds=300))
    assert caught.value.kind == "timeout"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("docker", "is not the address of an engine"),
        ("unix://docker.sock", "three slashes"),
        ("ftp://host:1", "is not the address of an engine"),
        ("tcp://root:pw@host:2375", "takes no user"),
        ("http://host/v1.41", "without a path"),
    ],
)
def test_addresses_that_make_no_sense(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["docker_disk"].Params.model_validate({"url": url})
    with pytest.raises(ValidationError, match="tls is for"):
        PROBES["docker_disk"].Params.model_validate({"tls": {"insecure": True}})
