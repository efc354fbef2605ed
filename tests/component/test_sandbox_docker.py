"""The sandbox's Docker engine, asked by the probes: what they are to see is what was made so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.probes import PROBES
from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.docker import CacheEntry, Container, Engine, Image, State, Volume
from tests.component.looking import evidence, looking, values


@pytest.fixture
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """A project `shop`: web, which needs db."""
    engine = Engine(tmp_path_factory.mktemp("e") / "d.sock")
    engine.service("shop", "db", image="postgres:15", cpus=2)
    engine.service("shop", "web", image="shop/web:1", depends_on=("db",))
    await engine.start()
    yield engine
    await engine.stop()


async def look(engine: Engine, kind: str, **params: Any) -> Observation:
    async with looking(PROBES[kind]) as looker:
        return await looker(url=engine.url, **params)


async def test_a_project_that_is_well(engine: Engine) -> None:
    seen = values(await look(engine, "docker_compose", project="shop"))
    assert (seen["containers"], seen["healthy"], seen["down"], seen["restarts"]) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("act", "measure", "note"),
    [
        (lambda web: web.exit(3), "exited", "web exited (3)"),
        (lambda web: web.fail_health("no route"), "unhealthy", "web unhealthy"),
        (lambda web: web.crash_for_ever(), "restarting", "web restarting"),
        (lambda web: web.pause(), "paused", "web paused"),
        (lambda web: web.kill_for_memory(), "exited", "web exited (137)"),
    ],
)
async def test_a_service_that_is_not(engine: Engine, act: Any, measure: str, note: str) -> None:
    web = engine.container("web")
    act(web)
    seen = await look(engine, "docker_compose", project="shop")
    assert (values(seen)[measure], seen.note) == (1, note)
    web.recover()
    assert (await look(engine, "docker_compose", project="shop")).note == ""


async def test_a_service_whose_container_is_gone(engine: Engine) -> None:
    engine.containers.remove(engine.container("db"))
    seen = await look(engine, "docker_compose", project="shop")
    assert (values(seen)["missing"], seen.note) == (1, "db missing")
    with pytest.raises(SandboxError, match="no container of service db"):
        engine.container("db")


async def test_what_a_container_says_of_its_end(engine: Engine) -> None:
    engine.container("web").kill_for_memory()
    engine.container("db").crash(3)
    seen = await look(engine, "docker_containers", project="shop")
    found = values(seen)
    assert (found["oom_killed"], found["restarts"], found["recently_restarted"], found["failed"]) == (1, 3, 1, 1)
    assert "killed for its memory" in evidence(seen, "containers")


async def test_what_a_container_uses(engine: Engine) -> None:
    db = engine.container("db")
    db.work(1.5)
    db.memory, db.memory_limit = 300 * 2**20, 400 * 2**20
    seen = values(await look(engine, "docker_containers", project="shop", service="db", usage=True, interval="300ms"))
    assert seen["cpu_ratio{shop-db-1}"] == pytest.approx(0.75, abs=0.1)
    assert seen["memory_ratio{shop-db-1}"] == pytest.approx(0.75)


async def test_logs_of_both_streams_since_a_moment(engine: Engine) -> None:
    web, now = engine.container("web"), datetime.now(UTC)
    web.say("ERROR long ago", at=now - timedelta(hours=3))
    web.say("ERROR lately", stream="stderr", at=now - timedelta(minutes=3))
    web.say("fine")
    for since, stream, expected in (
        ("1h", "both", (1, 2)), ("4h", "both", (2, 3)), ("4h", "stderr", (1, 1)), ("1s", "both", (0, 1)),
    ):  # fmt: skip
        seen = values(
            await look(
                engine, "docker_logs", project="shop", service="web", pattern="ERROR", since=since, stream=stream
            )
        )
        assert (seen["matches"], seen["lines"]) == expected, (since, stream)
    web.forget("lately")
    assert values(await look(engine, "docker_logs", project="shop", pattern="ERROR"))["matches"] == 0


async def test_what_takes_the_disk(engine: Engine) -> None:
    engine.images += [Image("", 3 * 10**8, age_days=30), Image("shop/web:0", 2 * 10**8, age_days=20, shared=10**8)]
    engine.volumes += [Volume("shop_data", 10**9), Volume("forgotten", 5 * 10**8, used_by=0)]
    engine.build_cache.append(CacheEntry(10**8, age_days=9))
    seen = values(await look(engine, "docker_disk", older_than="7d"))
    names = ("images", "unused_images", "old_unused_images", "dangling_images", "unused_images_bytes")
    assert [seen[name] for name in names] == [4, 2, 2, 1, 4e8]
    assert (seen["unused_volumes_bytes"], seen["old_build_cache_bytes"]) == (5e8, 1e8)


async def test_a_stopped_engine_and_one_started_again(engine: Engine) -> None:
    await engine.stop()
    with pytest.raises(ProbeError, match="there is no socket"):
        await look(engine, "docker_compose", project="shop")
    await engine.start()
    assert values(await look(engine, "docker_compose", project="shop"))["healthy"] == 2


def test_a_socket_with_too_long_a_name_is_refused() -> None:
    with pytest.raises(SandboxError, match="TMPDIR"):
        Engine(Path("/" + "x" * 120))


def test_a_container_runs_to_begin_with() -> None:
    assert Container("box", "tiny:1").state is State.RUNNING
