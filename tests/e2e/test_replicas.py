"""Several replicas on one PostgreSQL: one works, another takes over, and nobody is told twice or not at all."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.daemon import TOKEN, Daemon
from tests.servers.cable import Cable
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver

LEASE = 2.0  # seconds; 8 in production
CATALOGUE = """
system: {{name: shop}}
channels: {{hook: {{type: webhook, url: "{hook}/hook", unsigned: true}}}}
checks:
  - name: web
    every: 300ms
    timeout: 2s
    probe: {{type: http, url: "{hook}/web"}}
"""
Start = Callable[..., list[Daemon]]


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """What is looked at (/web), and who is told (/hook)."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A server of these tests' own: it is stopped, and its clients are cut off."""
    server = PostgresServer().start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def start(tmp_path: Path, hook: Receiver, database: PostgresServer) -> Iterator[Start]:
    """So many replicas of one database."""
    url = database.create_database()
    made: list[Daemon] = []

    def begin(count: int, through: int | None = None, **more: str) -> list[Daemon]:
        """`through`: the port of a cable to the database; `more`: further settings."""
        address = url.replace(f":{database.port}/", f":{through or database.port}/")
        for number in range(len(made), len(made) + count):
            folder = tmp_path / str(number)
            settings = {"database_url": address, "lease": f"{LEASE:g}s", "self_watch": "false", "shutdown_grace": "3s"}
            settings |= more
            made.append(Daemon(folder, CATALOGUE.format(hook=hook.url), **settings).start())
        return made

    try:
        yield begin
    finally:
        for daemon in made:
            daemon.kill()


def leaders(replicas: list[Daemon]) -> list[Daemon]:
    """Those that lead, of those that answer."""
    found = []
    for daemon in replicas:
        try:
            found += [daemon] if daemon.metric("healthd_leader") == 1 else []
        except httpx.TransportError:
            continue
    return found


def told(hook: Receiver) -> list[tuple[str, str]]:
    """(message id, what it tells) of what was sent."""
    return [(r.headers["webhook-id"], r.json["type"]) for r in hook.requests if r.path == "/hook"]


def taken_over(replicas: list[Daemon], old: Daemon) -> Callable[[], list[Daemon]]:
    return lambda: [daemon for daemon in leaders(replicas) if daemon is not old]


def test_one_leads_and_any_of_them_answers(start: Start) -> None:
    replicas = start(3)
    (leader,) = leaders(replicas)
    for daemon in replicas:
        assert daemon.http.get("/readyz").status_code == 200
        daemon.until(lambda d=daemon: d.get("/api/v1/checks/shop/web")["status"] == "ok", what="asked of the leader")
        assert daemon.http.post("/api/v1/checks/shop/web/run").status_code == 200
        assert "shop/web" in daemon.http.get("/").text
    standby, other = [daemon for daemon in replicas if daemon is not leader]
    assert standby.metric("healthd_check_status", check="web") is None
    cookie = signed_in_and_out(standby)
    for daemon in (leader, other):
        with httpx.Client(base_url=daemon.url, cookies=cookie) as thief:
            assert "Sign in to run it now" in thief.get("/checks/shop/web").text


def signed_in_and_out(replica: Daemon) -> dict[str, str]:
    """The cookie of somebody who ran a check in a browser that a Service led to `replica`, and then signed out."""
    with httpx.Client(base_url=replica.url, headers={"Origin": replica.url, "Sec-Fetch-Site": "same-origin"}) as client:
        asked = {"token": TOKEN, "name": "ada", "next": "/"}
        assert client.post("/sign-in", data=asked).status_code == 303
        cookie = dict(client.cookies)
        shown = client.get("/checks/shop/web").text
        form = {"form_key": shown.partition('name="form_key" value="')[2].partition('"')[0]}
        assert client.post("/checks/shop/web/run", data=form).status_code == 303
        assert client.post("/sign-out", data=form).status_code == 303
    by_ada = [entry["action"] for entry in replica.get("/api/v1/audit?actor=ada")["entries"]]
    assert by_ada == ["sign out", "run", "sign in"]
    return cookie


def test_a_killed_leader_is_followed_and_nobody_is_told_twice(start: Start, hook: Receiver) -> None:
    replicas = start(2)
    (leader,) = leaders(replicas)
    hook.decide(lambda request: "ok" if request.path == "/hook" else 500)
    # killed between its acceptance and the record of it, a message would be sent again, under the same id
    leader.until(lambda: told(hook) and leader.metric("healthd_outbox_pending", channel="hook") == 0, what="told")
    leader.kill()
    (new,) = [daemon for daemon in replicas if daemon is not leader]
    began = time.monotonic()
    new.until(taken_over(replicas, leader), 15, "taken over")
    assert time.monotonic() - began < LEASE + 5
    assert len(new.get("/api/v1/incidents?open=true")["incidents"]) == 1  # the same one, not told again
    hook.decide(lambda request: "ok")
    new.until(lambda: "incident.resolved" in [kind for _, kind in told(hook)], what="the end told")
    ids = [message for message, _ in told(hook)]
    assert len(ids) == len(set(ids))
    assert [kind for _, kind in told(hook)] == ["incident.firing", "incident.resolved"]


def test_who_takes_over_has_the_catalogue_as_it_is_by_then(start: Start, hook: Receiver) -> None:
    """Files of a ConfigMap change in all pods, but only the one that leads can be told to read them again."""

    def change(standby: Daemon, name: str) -> None:
        standby.write(CATALOGUE.format(hook=hook.url).replace("name: web", f"name: {name}"))

    def led_by(new: Daemon, old: Daemon, name: str) -> None:
        old.stop()
        new.until(taken_over([new], old), what="taken over")
        assert [check["id"] for check in new.get("/api/v1/checks?system=shop")["checks"]] == [f"shop/{name}"]

    leader, watching = start(2)
    if leaders([watching]):
        leader, watching = watching, leader
    assert watching.metric("healthd_catalogue_last_reload_successful") == 1
    change(watching, "cart")
    watching.until(lambda: watching.events("reloaded"), what="read by who stands by")
    led_by(watching, leader, "cart")
    told_only = start(1, reload_watch="false")[-1]
    change(told_only, "till")
    led_by(told_only, watching, "till")


def test_a_leader_that_was_stopped_and_wakes_tells_nobody_and_starts_over(start: Start, hook: Receiver) -> None:
    replicas = start(2)
    (leader,) = leaders(replicas)
    (new,) = [daemon for daemon in replicas if daemon is not leader]
    new.until(lambda: new.get("/api/v1/checks/shop/web")["status"] == "ok", what="looked at")
    leader.signal(signal.SIGSTOP)
    hook.decide(lambda request: "ok" if request.path == "/hook" else 500)
    try:
        with ThreadPoolExecutor(1) as somebody, httpx.Client(base_url=new.url, timeout=50) as client:
            asked = somebody.submit(client.get, "/api/v1/status")  # passed on to who does not answer
            new.until(lambda: new.metric("healthd_leader") == 1, 15, "taken over")
            assert asked.result().status_code in (200, 503)  # not held up for as long as a look may take
        new.until(lambda: len(told(hook)) == 1, what="told by the new one")
    finally:
        leader.signal(signal.SIGCONT)
    leader.until(lambda: leader.events("lead_lost"), what="it knows")
    leader.until(lambda: leader.events("standby"), what="it stands by")
    assert leaders(replicas) == [new]
    hook.decide(lambda request: "ok")
    new.until(lambda: "incident.resolved" in [kind for _, kind in told(hook)], what="the end told")
    assert [kind for _, kind in told(hook)] == ["incident.firing", "incident.resolved"]


def test_a_leader_that_is_told_to_stop_is_followed_at_once(start: Start) -> None:
    replicas = start(2)
    (leader,) = leaders(replicas)
    (new,) = [daemon for daemon in replicas if daemon is not leader]
    assert leader.stop() == 0
    began = time.monotonic()
    new.until(lambda: new.metric("healthd_leader") == 1, 15, "taken over")
    assert time.monotonic() - began < LEASE


def test_while_the_database_is_away_nobody_takes_over_and_then_one_goes_on(
    start: Start, database: PostgresServer
) -> None:
    replicas = start(2)
    (leader,) = leaders(replicas)
    database.stop()
    try:
        leader.until(lambda: not leaders(replicas), LEASE + 10, "the lead not certain any more")
    finally:
        database.start()
    leader.until(lambda: len(leaders(replicas)) == 1, 20, "one leads again")
    (now,) = leaders(replicas)
    now.until(lambda: now.get("/api/v1/checks/shop/web")["status"] == "ok", what="goes on")


def test_a_leader_that_is_cut_off_is_followed_and_starts_over_when_it_is_back(
    start: Start, hook: Receiver, database: PostgresServer
) -> None:
    with Cable(database.port) as cable:
        (leader,) = start(1, through=cable.port)
        leader, new = start(1)
        assert leaders([leader, new]) == [leader]
        leader.until(lambda: leader.get("/api/v1/checks/shop/web")["status"] == "ok", what="looked at")
        cable.cut()
        new.until(lambda: new.metric("healthd_leader") == 1, 20, "taken over")
        assert leader.metric("healthd_leader") == 0  # it cannot know who leads, but that it may not
        hook.decide(lambda request: "ok" if request.path == "/hook" else 500)
        new.until(lambda: len(told(hook)) == 1, what="told by the new one")
        cable.mend()
        leader.until(lambda: leader.events("standby"), 40, "it stands by")
        assert leaders([leader, new]) == [new]
        assert [kind for _, kind in told(hook)] == ["incident.firing"]
