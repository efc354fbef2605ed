"""Looks made elsewhere: what comes back, what is refused, and how long anybody waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from procrastinate.schema import SchemaManager

from healthd.loading import load_catalogue
from healthd.metrics import Metrics
from healthd.model.outcomes import Observation
from healthd.schedule import Attempt
from healthd.workers.dispatch import Dispatch
from healthd.workers.pulse import Pulse
from tests.component.workers.conftest import Desk, Installation
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver

CATALOGUE = """
system: {{name: shop}}
checks:
  - {{name: web, every: 1m, timeout: 2s, location: eu-west, probe: {{type: http, url: "{hook}/web"}}}}
  - {{name: slow, every: 1m, timeout: 1s, location: eu-west, probe: {{type: http, url: "{hook}/slow"}}}}
  - {{name: far, every: 1m, timeout: 2s, location: us-east, probe: {{type: http, url: "{hook}/far"}}}}
"""


@pytest.fixture
def catalogue(hook: Receiver) -> str:
    return CATALOGUE.format(hook=hook.url)


def values(seen: Attempt[Observation]) -> dict[str, float | str]:
    assert seen.observation is not None, seen.error and seen.error.reason
    return {m.name: m.value for m in seen.observation.measurements}


def refusal(seen: Attempt[Observation]) -> str:
    assert seen.error is not None
    assert seen.error.kind == "worker"
    return seen.error.reason


def left_over(url: str) -> list[int]:
    """Rows of jobs, of answers."""
    with psycopg.connect(url) as connection:
        tables = ("procrastinate_jobs", "healthd_answers")
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # type: ignore[index]


async def gone(url: str) -> None:
    """Until nothing of any look is left in the database."""
    async with asyncio.timeout(10):
        while await asyncio.to_thread(left_over, url) != [0, 0]:
            await asyncio.sleep(0.05)


async def test_what_a_worker_sees_is_what_a_look_returns_and_nothing_stays_behind(
    installation: Installation, catalogue: str, hook: Receiver
) -> None:
    desk = await installation.dispatch(catalogue)
    installation.work(catalogue)
    await desk.alive()
    began = datetime.now(UTC)
    seen = await desk.look()
    assert values(seen)["status"] == 200
    assert began <= seen.started <= datetime.now(UTC)
    assert timedelta(0) < seen.duration < timedelta(seconds=2)
    hook.script([503], path="/web")
    failed = await desk.look()
    assert values(failed)["up"] == 0
    assert failed.observation is not None
    assert "503" in failed.observation.note
    many = await asyncio.gather(*(desk.look(("web", "slow")[n % 2]) for n in range(60)))  # more than there are turns
    assert all(values(one)["status"] == 200 for one in many)
    await gone(installation.url)


async def test_without_a_worker_nobody_waits_for_long_and_one_that_comes_is_asked(
    installation: Installation, catalogue: str
) -> None:
    desk = await installation.dispatch(catalogue)
    left = installation.work(catalogue)
    await desk.alive()
    left.stop()
    await desk.alive(0)
    near, far = await asyncio.wait_for(asyncio.gather(desk.look(), desk.look("far")), 10)
    assert refusal(near).startswith("no worker answers at eu-west (last seen 20")
    assert refusal(far) == (
        "no worker answers at us-east (none has been seen): is `healthd worker --location us-east` running?"
    )
    assert (await asyncio.wait_for(desk.look(), 1)).error is not None  # known by now: it is said at once
    assert desk.dispatch.standing()["eu-west"][1].startswith("no worker answers at eu-west")
    installation.work(catalogue)
    await desk.alive()
    assert values(await desk.look())["status"] == 200
    assert desk.dispatch.standing()["eu-west"] == (1, "")


async def test_what_a_worker_that_is_told_to_stop_cannot_finish_another_does(
    installation: Installation, catalogue: str, hook: Receiver
) -> None:
    desk = await installation.dispatch(catalogue.replace("timeout: 1s", "timeout: 15s"))
    first = installation.work(catalogue, "first")
    await desk.alive()
    hook.script(["hang"], path="/slow")
    look = asyncio.ensure_future(desk.look("slow"))
    await hook.expect(1, path="/slow")
    installation.work(catalogue, "second")
    await desk.alive(2)
    first.stop()  # it has a second to finish
    assert values(await look)["status"] == 200
    assert len(hook.to("/slow")) == 2
    await gone(installation.url)


async def test_a_worker_that_is_told_to_stop_as_it_begins_ends(installation: Installation, catalogue: str) -> None:
    """Whatever it is just doing with the database: until Python 3.12 its connections lose some cancellations."""
    await installation.dispatch(catalogue)
    for turn in range(12):
        several = [installation.work(catalogue, str(number)) for number in range(5)]
        for worker in several:
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    while worker.unready:
                        await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(turn * 0.002, worker.stop)
        await asyncio.wait_for(asyncio.gather(*(installation.running.pop(worker) for worker in several)), 20)


async def test_another_definition_is_not_looked_at_until_the_worker_has_the_same(
    installation: Installation, catalogue: str, hook: Receiver
) -> None:
    desk = await installation.dispatch(catalogue)
    other = catalogue.replace("/web", "/elsewhere").replace("name: slow", "name: slower")
    worker = installation.work(other, reload_watch="false")
    await desk.alive()
    said = refusal(await desk.look())
    assert said == "the worker at eu-west has another definition of shop/web: give it the same catalogue"
    assert refusal(await desk.look("slow")) == "the worker at eu-west has no shop/slow: give it the same catalogue"
    assert not hook.requests
    installation.settings("worker", "system: {name: [}")
    await worker.reload()  # refused: it keeps what it had
    assert "another definition" in refusal(await desk.look())
    installation.settings("worker", catalogue)
    worker.ask_to_reload()  # as SIGHUP does
    async with asyncio.timeout(30):
        while (seen := await desk.look()).observation is None:
            assert "another definition" in refusal(seen)
    assert values(seen)["status"] == 200


async def test_a_variable_is_the_workers_own_and_its_values_do_not_come_back(
    installation: Installation, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process has an environment of its own; here the two share one, so the default is told apart by its place."""
    text = """
system: {name: shop}
checks:
  - name: web
    every: 1m
    location: eu-west
    probe: {type: http, url: "${SHOP_URL}/x", headers: {Authorization: "Bearer ${SHOP_TOKEN}"}}
  - {name: other, every: 1m, probe: {type: http, url: "${NOT_NEEDED_THERE}"}}
"""
    monkeypatch.setenv("SHOP_URL", "http://daemon.invalid")
    monkeypatch.setenv("SHOP_TOKEN", "as-the-daemon-has-it")
    monkeypatch.setenv("NOT_NEEDED_THERE", "http://daemon.invalid")
    desk = await installation.dispatch(text)
    monkeypatch.setenv("SHOP_URL", hook.url)
    monkeypatch.setenv("SHOP_TOKEN", "the-workers-own-secret")
    monkeypatch.delenv("NOT_NEEDED_THERE")
    installation.work(text)
    await desk.alive()
    hook.script([(500, {}, "who sent the-workers-own-secret?")], path="/x")
    seen = await desk.look()
    assert hook.requests[0].headers["authorization"] == "Bearer the-workers-own-secret"
    assert seen.observation is not None
    assert "who sent" in str(seen.observation.evidence)
    assert "the-workers-own-secret" not in str(seen.observation)


async def test_a_look_that_hangs_ends_with_its_time_and_does_not_hold_up_others(
    installation: Installation, catalogue: str, hook: Receiver
) -> None:
    desk = await installation.dispatch(catalogue)
    installation.work(catalogue, capacity=2)
    await desk.alive()
    hook.decide(lambda request: "hang" if request.path == "/slow" else "ok")
    seen = await desk.look("slow")
    assert values(seen)["up"] == 0
    assert seen.duration >= timedelta(seconds=0.9)
    hanging = [asyncio.ensure_future(desk.look("slow")) for _ in range(6)]
    assert values(await desk.look())["status"] == 200
    assert sum(task.done() for task in hanging) <= 2  # it did not wait for its turn behind all of them
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    await gone(installation.url)


async def test_two_daemons_and_two_workers_prepare_the_database_together(
    installation: Installation, catalogue: str
) -> None:
    installation.work(catalogue, "one")
    installation.work(catalogue, "two")
    desks = await asyncio.gather(*(installation.dispatch(catalogue, name) for name in ("a", "b", "c")))
    for desk in desks:
        await desk.alive(2)
        assert values(await desk.look())["status"] == 200


def prepared_before(url: str, until: str, comment: str) -> None:
    """The engine's tables as its scripts before `until` make them."""
    scripts = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"), key=lambda path: path.name)
    with psycopg.connect(url, autocommit=True) as connection:
        for script in scripts:
            if script.name < until:
                connection.execute(script.read_text().encode())
        if comment:
            connection.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{comment}'".encode())


@pytest.mark.parametrize(
    ("until", "comment", "after"),
    [
        ("03.01", "healthd: 03.00.00_50_post_cancel_notification.sql", "healthd: 03."),
        ("99", "", None),
    ],
    ids=["older, of ours", "of somebody else"],
)
async def test_the_engines_tables_are_brought_up_to_date_where_they_are_ours(
    installation: Installation, catalogue: str, until: str, comment: str, after: str | None
) -> None:
    prepared_before(installation.url, until, comment)
    desk = await installation.dispatch(catalogue)
    installation.work(catalogue)
    await desk.alive()
    assert values(await desk.look())["status"] == 200
    with psycopg.connect(installation.url) as connection:
        row = connection.execute("SELECT obj_description('procrastinate_jobs'::regclass, 'pg_class')").fetchone()
    assert row is not None
    assert row[0] is after if after is None else row[0].startswith(after) and row[0] > comment


async def test_a_daemon_that_takes_over_withdraws_what_the_one_before_asked_for(
    installation: Installation, catalogue: str, hook: Receiver
) -> None:
    desk = await installation.dispatch(catalogue)
    worker = installation.work(catalogue, capacity=1)
    await desk.alive()
    hook.decide(lambda request: "hang")
    looks = [asyncio.ensure_future(desk.look("slow")) for _ in range(4)]
    await hook.expect(1)
    later = await installation.dispatch(catalogue, "later")
    await later.alive()
    hook.decide(None)
    assert values(await later.look())["status"] == 200
    for look in looks:
        look.cancel()
    await asyncio.gather(*looks, return_exceptions=True)
    worker.stop()


async def test_on_sqlite_the_checks_are_unknown_with_the_reason(installation: Installation, catalogue: str) -> None:
    settings = installation.settings("daemon", catalogue, "sqlite:///healthd.db")
    dispatch, checks = Dispatch(settings, Metrics("test")), load_catalogue(settings)
    dispatch.adopt(checks)
    seen = await Desk(dispatch, Metrics("test"), checks.checks).look()
    assert seen.error is not None
    assert seen.error.kind == "config"
    assert "HEALTHD_DATABASE_URL is SQLite" in seen.error.reason
    assert "SQLite" in dispatch.standing()["eu-west"][1]
    await dispatch.end()


async def test_a_workers_port_says_how_it_is() -> None:
    reason = "starting"
    pulse = Pulse(lambda: reason)
    port = await pulse.start("127.0.0.1", 0)

    async def ask(path: str, method: str = "GET") -> tuple[int, str]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.request(method, path)
            return answer.status_code, answer.text

    assert await ask("/healthz") == (200, "alive\n")
    assert await ask("/readyz") == (503, "starting\n")
    reason = ""
    assert await ask("/readyz") == (200, "ready\n")
    assert await ask("/readyz", "HEAD") == (200, "")
    assert (await ask("/metrics"))[0] == 404
    assert (await ask("/healthz", "POST"))[0] == 404
    await pulse.stop()


async def test_a_worker_needs_no_more_than_the_documented_rights(
    installation: Installation, catalogue: str, postgres: PostgresServer
) -> None:
    desk = await installation.dispatch(catalogue)
    name = installation.url.rsplit("/", 1)[1]
    role = f"worker_{name}"
    (page,) = re.findall(r"```sql\n(.*?)```", Path("docs/workers.md").read_text(), re.DOTALL)
    with psycopg.connect(installation.url, autocommit=True) as connection:
        connection.execute(re.sub(r"\bhealthd_worker\b", role, page).replace("'...'", "'narrow'"))
    installation.worker_url = postgres.url(name, user=role, password="narrow")
    installation.work(catalogue)
    await desk.alive()
    assert values(await desk.look())["status"] == 200
    await gone(installation.url)
    with (
        psycopg.connect(installation.worker_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT 1 FROM healthd_outcomes")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The engine logs what its own jobs do."""
    import logging

    logger = logging.getLogger("procrastinate")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)
