"""The probe docker_containers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from healthd.model.outcomes import ProbeError
from tests.component.docker.conftest import Look
from tests.component.looking import evidence, values
from tests.servers.docker import DockerEngine


async def test_states_of_containers(docker: DockerEngine, look: Look) -> None:
    docker.run("exec sleep 1000", name="up")
    docker.run("exit 7", name="failed")
    docker.run("exit 0", name="done")
    docker.run("exit 0", name="new", start=False)
    for name in ("failed", "done"):
        docker.wait(name)
    seen = await look("docker_containers")
    found = values(seen)
    assert (found["count"], found["running"], found["stopped"], found["failed"]) == (4, 1, 3, 1)
    assert (found["container_running{up}"], found["container_running{failed}"]) == (1, 0)
    assert (found["container_exit_code{failed}"], found["container_exit_code{done}"]) == (7, 0)
    assert "container_exit_code{new}" not in found
    assert 0 <= float(found["container_uptime{up}"]) < 60
    assert seen.note == "done exited (0), failed exited (7), new created"
    assert "failed: Exited (7)" in evidence(seen, "containers")


async def test_selecting(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "web")
    docker.service("shop", "db", labels={"tier": "data"})
    docker.run("exec sleep 1000", name="alone", labels={"tier": "none"})
    for criteria, expected in (
        ({"name": "shop-*"}, 2),
        ({"name": ["alone", "shop-db-1"]}, 2),
        ({"label": "tier"}, 2),
        ({"label": "tier=data"}, 1),
        ({"project": "shop"}, 2),
        ({"project": "shop", "service": "web"}, 1),
        ({"project": "shop", "label": "tier=none"}, 0),
    ):
        assert values(await look("docker_containers", **criteria))["count"] == expected, criteria
    none = await look("docker_containers", project="shop", name="x*")
    assert none.note == "no container called x* of project shop"


async def test_killed_for_its_memory(docker: DockerEngine, look: Look) -> None:
    hog = "sleep 1; x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
    docker.run(hog, name="hog", host={"Memory": 8_000_000, "MemorySwap": 8_000_000})
    for _ in range(5):
        docker.wait("hog")
        if await knows_why(docker):
            break
        docker.ask("POST", "/containers/hog/start")  # the engine did not watch it yet when it was killed
    seen = await look("docker_containers", name="hog")
    assert (values(seen)["oom_killed"], values(seen)["container_exit_code{hog}"]) == (1, 137)
    assert seen.note == "hog killed for its memory"


async def knows_why(docker: DockerEngine) -> bool:
    """The engine learns it some moments after it learned that it ended, or never."""
    for _ in range(100):
        if json.loads(docker.ask("GET", "/containers/hog/json"))["State"]["OOMKilled"]:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_restarts_are_recent_or_not(docker: DockerEngine, look: Look) -> None:
    docker.run(
        "test -e /tmp/again && exec sleep 1000; echo > /tmp/again; exit 1", name="once",
        host={"RestartPolicy": {"Name": "always"}},
    )  # fmt: skip
    while docker.inspect("once")["RestartCount"] < 1:
        docker.wait_until("once", "running")
    found = values(await look("docker_containers"))
    assert (found["restarts"], found["recently_restarted"], found["container_restarts{once}"]) == (1, 1, 1)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert values(await look("docker_containers", now=later))["recently_restarted"] == 0
    assert values(await look("docker_containers", now=later, since="3h"))["recently_restarted"] == 1


@pytest.mark.probe("docker_containers")
async def test_health_is_a_word(docker: DockerEngine, look: Look) -> None:
    slow = {"Test": ["CMD", "/bin/sleep", "60"], "Interval": 100_000_000, "Timeout": 60_000_000_000}
    docker.run("exec sleep 1000", name="slow", options={"Healthcheck": slow})
    found = values(await look("docker_containers"))
    assert (found["container_health{slow}"], found["starting"], found["healthy"]) == ("starting", 1, 0)


async def test_what_containers_use(docker: DockerEngine, look: Look) -> None:
    docker.run("while :; do :; done", name="busy", host={"Memory": 50_000_000, "NanoCpus": 500_000_000})
    docker.run("exec sleep 1000", name="idle")
    docker.run("exit 0", name="ended")
    docker.wait("ended")
    found = values(await look("docker_containers", usage=True, interval="500ms"))
    assert 0.02 < float(found["cpu{busy}"]) < 0.8, "half a processor is what it may use, where there is as much"
    assert float(found["cpu_ratio{busy}"]) == pytest.approx(float(found["cpu{busy}"]) / 0.5)
    assert float(found["cpu_ratio{idle}"]) < 0.05
    assert 0 < float(found["memory_ratio{busy}"]) < 0.5
    assert float(found["memory_bytes{busy}"]) == pytest.approx(float(found["memory_ratio{busy}"]) * 50e6, rel=0.01)
    assert float(found["memory_ratio{idle}"]) < 0.01, "without a limit, of the machine's memory"
    assert "memory_bytes{ended}" not in found


@pytest.mark.probe_failure("docker_containers")
async def test_an_interval_longer_than_the_look(look: Look) -> None:
    with pytest.raises(ProbeError, match="does not fit into the check's timeout"):
        await look("docker_containers", usage=True, interval="10s")
