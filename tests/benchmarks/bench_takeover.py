"""Leaders killed one after the other: how long until another leads, and what was lost or done twice.

    python -m tests.benchmarks.bench_takeover [--count 100] [--lease 2]

Two replicas on a real PostgreSQL. Again and again the leader is killed with SIGKILL and a new replica is started.
Meanwhile twenty checks run by the calendar, every minute, and a service goes down and comes back, so that people are
told. Counted at the end: calendar runs recorded twice or never, and messages lost or sent under a second id.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg

from tests.e2e.daemon import Daemon
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Answer, Receiver, Request

CALENDAR = 20
CATALOGUE = """
system: {{name: shop, grouping: {{reopen_within: 0s}}}}
channels: {{hook: {{type: webhook, url: "{hook}/hook", unsigned: true}}}}
checks:
  - {{name: web, every: 300ms, timeout: 2s, probe: {{type: http, url: "{hook}/web"}}}}
{calendar}
"""
RUN = '  - {{name: run-{0}, cron: "* * * * *", probe: {{type: load}}}}'


class Service:
    """What goes down and comes back, and the people who are told."""

    def __init__(self) -> None:
        self.down = False
        self.told: list[tuple[str, str, str]] = []  # incident, message id, event
        self.receiver = Receiver()
        self.receiver.decide(self._answer)

    def _answer(self, request: Request) -> Answer:
        if request.path != "/hook":
            return 500 if self.down else "ok"
        data = request.json["data"]
        if "incident" in data:
            self.told.append((data["incident"]["id"], request.headers["webhook-id"], data["event"]))
        return "ok"


def replica(folder: Path, url: str, hook: str, lease: float) -> Daemon:
    """One more, ready to lead or to follow."""
    calendar = "\n".join(RUN.format(number) for number in range(CALENDAR))
    settings = {"database_url": url, "lease": f"{lease:g}s", "self_watch": "false"}
    return Daemon(folder, CATALOGUE.format(hook=hook, calendar=calendar), **settings).start(60)


def take_over(count: int, lease: float, folder: Path, url: str, service: Service) -> list[float]:
    """Seconds from each kill until another leads."""
    hook = service.receiver.url
    leader, standby = replica(folder / "0", url, hook, lease), replica(folder / "1", url, hook, lease)
    seconds = []
    try:
        for number in range(count):
            service.down = number % 2 == 0
            time.sleep(0.4 + (number % 7) * 0.1)  # kills fall anywhere between two runs
            began = time.monotonic()
            leader.kill()
            standby.until(lambda d=standby: d.metric("healthd_leader") == 1, 30, "taken over")
            seconds.append(time.monotonic() - began)
            leader, standby = standby, replica(folder / str(number + 2), url, hook, lease)
        service.down = False
        leader.until(lambda: not leader.get("/api/v1/incidents?open=true")["incidents"], 60, "all resolved")
        leader.until(lambda: leader.metric("healthd_outbox_pending", channel="hook") == 0, 60, "all told")
        time.sleep(61 - time.time() % 60)  # the last calendar runs, too
        time.sleep(3)
    finally:
        leader.kill()
        standby.kill()
    return seconds


def calendar_runs(url: str) -> tuple[int, int, int]:
    """Recorded, recorded twice, never recorded."""
    due = """
        SELECT check_id, (body::json->>'due')::bigint / 60000000, count(*) FROM healthd_outcomes
        WHERE check_id LIKE 'shop/run-%' AND body::json->>'due' IS NOT NULL
          AND coalesce(body::json->>'error_kind', '') <> 'stopped' GROUP BY 1, 2
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute(due).fetchall()
    minutes = {minute for _, minute, _ in rows}
    expected = CALENDAR * (max(minutes) - min(minutes) + 1) if minutes else 0
    return len(rows), sum(count - 1 for _, _, count in rows), expected - len(rows)


def pages(url: str, service: Service) -> tuple[int, int, int]:
    """Messages that were to be sent, those that never were, and ids of one event of one incident beyond the first."""
    with psycopg.connect(url) as connection:
        wanted = {row[0] for row in connection.execute("SELECT id FROM healthd_messages").fetchall()}
    sent = {message for _, message, _ in service.told}
    ids = Counter((incident, event) for incident, event in {(i, m.rsplit("-", 2)[1] + e) for i, m, e in service.told})
    return len(wanted), len(wanted - sent), sum(count - 1 for count in ids.values())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--lease", type=float, default=2.0)
    given = parser.parse_args()
    service, server = Service(), PostgresServer().start()
    try:
        url = server.create_database()
        with tempfile.TemporaryDirectory() as folder, service.receiver:
            seconds = take_over(given.count, given.lease, Path(folder), url, service)
            recorded, twice, never = calendar_runs(url)
            wanted, lost, doubled = pages(url, service)
    finally:
        server.stop()
    repeated = len(service.told) - len({message for _, message, _ in service.told})
    print(f"{given.count} takeovers with a lease of {given.lease:g} s: median {statistics.median(seconds):.2f} s,"
          f" longest {max(seconds):.2f} s")  # fmt: skip
    print(f"calendar runs: {recorded} recorded, {twice} twice, {never} never")
    print(
        f"messages: {wanted} to send, {lost} lost, {doubled} under a second id, {repeated} sent again under the same id"
    )


if __name__ == "__main__":
    main()
