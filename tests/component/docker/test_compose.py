"""The probe docker_compose, on projects made as `docker compose up` makes them."""

from __future__ import annotations

import pytest

from healthd.probes import PROBES
from tests.component.docker.conftest import Look
from tests.component.looking import evidence, values
from tests.servers.docker import DockerEngine

CHECK = {"Interval": 100_000_000, "Retries": 1, "Timeout": 5_000_000_000}
HEALTHY = {"Healthcheck": {"Test": ["CMD", "/bin/sh", "-c", "exit 0"], **CHECK}}
SICK = {"Healthcheck": {"Test": ["CMD", "/bin/sh", "-c", "echo no reply password=hunter22; exit 1"], **CHECK}}


async def test_everything_is_up(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "web", options=HEALTHY)
    docker.service("shop", "db")
    docker.service("other", "web")
    docker.wait_until("shop-web-1", "healthy")
    seen = await look("docker_compose", project="shop")
    assert values(seen) == {
        "containers": 2, "expected": 2, "running": 2, "healthy": 2, "healthy_ratio": 1, "down": 0, "missing": 0,
        "exited": 0, "unhealthy": 0, "starting": 0, "restarting": 0, "paused": 0, "restarts": 0,
        "service_up{db}": 1, "service_up{web}": 1, "service_running{db}": 1, "service_running{web}": 1,
        "service_restarts{db}": 0, "service_restarts{web}": 0,
    }  # fmt: skip
    assert seen.note == ""


async def test_each_way_not_to_be_up_is_told_apart(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "sick", options=SICK)
    docker.service("shop", "ended", "exit 3", labels={"com.docker.compose.depends_on": "gone:service_started:false"})
    docker.service("shop", "paused")
    docker.ask("POST", "/containers/shop-paused-1/pause")
    docker.wait("shop-ended-1")
    docker.wait_until("shop-sick-1", "unhealthy")
    seen = await look("docker_compose", project="shop")
    found = values(seen)
    assert (found["expected"], found["running"], found["healthy"], found["down"]) == (4, 1, 0, 3)
    assert (found["exited"], found["missing"], found["paused"], found["unhealthy"]) == (1, 1, 1, 1)
    assert seen.note == "ended exited (3), gone missing, paused paused, sick unhealthy"
    lines = evidence(seen, "services")
    assert "shop-sick-1: Up" in lines
    assert "health check says: no reply password=" in lines
    assert "hunter22" not in lines
    assert "gone: no container" in lines


async def test_services_that_are_expected_by_name(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "web")
    docker.service("shop", "web", name="shop-web-2")
    docker.service("shop", "extra")
    seen = await look("docker_compose", project="shop", services=["web", "cache"])
    found = values(seen)
    assert (found["expected"], found["running"], found["missing"]) == (2, 1, 1)
    assert seen.note == "cache missing"
    assert "extra: not expected" in evidence(seen, "services")
    found = values(await look("docker_compose", project="shop", services={"web": 3}))
    assert (found["running"], found["down"], found["service_running{web}"], found["service_up{web}"]) == (0, 1, 2, 0)


async def test_a_service_may_end_well(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "migrate", "exit 0")
    docker.service("shop", "seed", "exit 1")
    for name in ("migrate", "seed"):
        docker.wait(f"shop-{name}-1")
    found = values(await look("docker_compose", project="shop"))
    assert (found["running"], found["exited"]) == (0, 2)
    seen = await look("docker_compose", project="shop", may_end=["migrate", "seed"])
    assert (values(seen)["running"], values(seen)["exited"]) == (1, 1)
    assert seen.note == "seed exited (1)"
    seen = await look("docker_compose", project="shop", services="web", may_end=["migrate", "seed", "gone"])
    assert (values(seen)["expected"], values(seen)["running"]) == (3, 1)
    assert seen.note == "seed exited (1), web missing"


async def test_restarts_are_counted_and_a_loop_is_down(docker: DockerEngine, look: Look) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    docker.service("shop", "loop", "exit 1", host=policy)
    docker.wait("shop-loop-1")
    docker.wait_until("shop-loop-1", "exited")
    found = values(await look("docker_compose", project="shop"))
    assert (found["restarts"], found["service_restarts{loop}"], found["down"]) == (2, 2, 1)


async def test_what_compose_run_leaves_behind_is_no_service(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "web")
    docker.service("shop", "web", name="shop-web-run-1", labels={"com.docker.compose.oneoff": "True"})
    assert values(await look("docker_compose", project="shop"))["containers"] == 1


@pytest.mark.probe("docker_compose")
async def test_a_project_that_is_not_there(docker: DockerEngine, look: Look) -> None:
    nothing = await look("docker_compose", project="shop")
    assert values(nothing)["containers"] == 0
    assert nothing.note == "no containers of project shop; no project is here at all"
    docker.service("store", "web")
    seen = await look("docker_compose", project="shop", services=["web"])
    assert (values(seen)["containers"], values(seen)["missing"]) == (0, 1)
    assert seen.note == "no containers of project shop; the projects here are store"
    rows = {row.measure for row in PROBES["docker_compose"].defaults if row.critical}
    assert rows == {"containers", "down", "unhealthy"}


@pytest.mark.parametrize("services", [{"web": 0}, {"web": "two"}])
def test_services_that_make_no_sense(services: object) -> None:
    with pytest.raises(ValueError, match="services"):
        PROBES["docker_compose"].Params.model_validate({"project": "shop", "services": services})
