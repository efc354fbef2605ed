"""The reports of a daemon: of what its calendar made it look at, kept, told, and finished after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.app import App
from healthd.incidents.attestations import to_record
from healthd.model.attestations import Request
from healthd.model.outcomes import Level, Measurement, Outcome, Verdict
from healthd.model.records import Record
from healthd.model.units import Unit
from healthd.report import from_json, summary
from healthd.settings import load_settings
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.servers.receiver import Receiver

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
CATALOGUE = """
system: {name: shop, title: The shop}
cadences:
  morning: {on: daily, at: "09:00", title: Morning checklist}
  hourly: {cron: "0 * * * *", title: Every hour}
  review: {on: monday, at: "09:00", title: Review}
  yearly: {on: yearly, at: "09:00"}
attestations:
  drill: {title: Restore drill, cadence: yearly, who: on-call}
  audit: {title: Access audit, cadence: yearly, who: security}
reports:
  capacity: {title: Capacity of the week, cadence: review, who: engineering, checks: [disk]}
channels:
  hook: {type: webhook, url: "%s/hook", unsigned: true}
checks:
  - name: disk
    title: Disk
    cadence: [morning, hourly]
    probe: {type: disk, paths: [/]}
    thresholds: {measure: used_ratio, critical: ">= 100%%"}
  - name: web
    title: Web
    cadence: morning
    probe: {type: http, url: "http://127.0.0.1:9/"}
"""


@asynccontextmanager
async def running(folder: Path, hook: str, at: datetime) -> AsyncIterator[App]:
    """A daemon on a shifted clock."""
    shop = folder / "checks" / "shop"
    shop.mkdir(parents=True, exist_ok=True)
    (shop / "system.yaml").write_text(CATALOGUE % hook)
    settings = load_settings(
        {"HEALTHD_CHECKS": str(shop), "HEALTHD_DATABASE_URL": f"sqlite:///{folder / 'healthd.db'}"}
    )
    shift = at - datetime.now(UTC)
    app = App(settings, now=lambda: datetime.now(UTC) + shift)
    app.read_catalogue()
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def until(condition: Callable[[], Any], within: float = 20) -> Any:
    async with asyncio.timeout(within):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
    return found


def reports(receiver: Receiver) -> list[dict[str, Any]]:
    """The notices of reports that were told."""
    bodies = [request.json["data"] for request in receiver.requests]
    return [body["notice"] for body in bodies if body["event"] == "notice" and body["notice"]["kind"] == "report"]


async def kept(app: App, cadence: str) -> list[Record]:
    return await app.store.records("report", system="shop", name=cadence)


async def test_every_checklist_run_ends_in_a_report(tmp_path: Path, receiver: Receiver) -> None:
    async with running(tmp_path, receiver.url, NINE - timedelta(seconds=1)) as app:
        (record,) = await until(lambda: kept(app, "morning"))
        report = from_json(record.body)
        assert [(i.check_id, i.level) for i in report.items] == [("shop/web", "critical"), ("shop/disk", "ok")]
        assert (report.due, record.at, record.id) == (NINE, NINE, "RPT-20260302-0900-shop-morning")
        assert [event.title for event in report.events] == ["Web"]

        (weekly,) = await until(lambda: kept(app, "review"))
        review = from_json(weekly.body)
        assert [item.check_id for item in review.items] == ["shop/disk"]
        assert {o.check_id for o in review.objectives} == {"shop/web", "shop/disk"}

        assert await until(lambda: kept(app, "hourly"))  # kept, but nobody is told that often
        await until(lambda: _told(receiver, 2))
        told = {notice["cadence"]: notice for notice in reports(receiver)}
        assert told.keys() == {"morning", "review"}
        assert told["morning"]["title"] == "Morning checklist: 1 critical, 1 OK"
        assert told["morning"]["url"].endswith("/reports/RPT-20260302-0900-shop-morning")
        assert "🔴 Web: up 0 (critical = 0)" in told["morning"]["text"]


async def test_the_next_report_is_compared_with_it_and_one_can_be_asked_for(tmp_path: Path, receiver: Receiver) -> None:
    async with running(tmp_path, receiver.url, NINE - timedelta(seconds=1)) as app:
        await until(lambda: kept(app, "morning"))
        preview = await app.report_preview("shop", "morning")
        assert preview.before == "RPT-20260302-0900-shop-morning"
        assert {item.check_id: item.before for item in preview.items} == {"shop/web": "critical", "shop/disk": "ok"}
        with pytest.raises(KeyError):
            await app.report_preview("shop", "evening")
        first, *_ = await app.objectives("shop")
        assert first.check_id == "shop/web"


async def test_two_days_are_enough_to_see_what_grows(tmp_path: Path, receiver: Receiver) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'healthd.db'}")
    await store.open()
    seen = [_disk(ago, ratio=0.5 - 0.01 * ago) for ago in range(49, 0, -3)]
    await store.commit(Commit(outcomes=tuple(seen)))
    await store.close()
    async with running(tmp_path, receiver.url, NINE - timedelta(minutes=30)) as app:
        report = await app.report_preview("shop", "morning")
    (grown,) = report.growth
    assert (grown.measure, grown.series, grown.limit) == ("used_ratio", "/", ">= 100%")
    assert 1.5 < grown.days < 2.6  # 24 points a day


def _disk(ago: int, ratio: float) -> Outcome:
    """What was seen so many hours before."""
    measured = Measurement("used_ratio", ratio, Unit.RATIO, "/")
    verdict = Verdict("used_ratio", "used_ratio", "/", ratio, Unit.RATIO, Level.OK, "")
    at = NINE - timedelta(hours=ago)
    return Outcome("shop/disk", at, timedelta(0), Level.OK, "", (measured,), (verdict,))


async def test_what_nobody_signed_for_is_not_called_given(tmp_path: Path, receiver: Receiver) -> None:
    hour, closed = timedelta(hours=1), NINE - timedelta(hours=2)
    drill = Request("ATT-1", "shop/drill", "Restore drill", NINE - 9 * hour, NINE - 3 * hour, closed_at=closed)
    asked = (
        replace(drill, dropped="ATT-2 took its place"),
        replace(drill, id="ATT-2", closed_at=closed + hour, given_by="ada"),
        replace(drill, id="ATT-3", check_id="shop/audit", due_by=NINE + hour, overdue_since=closed, closed_at=None),
    )
    async with running(tmp_path, receiver.url, NINE - timedelta(minutes=5)) as app:
        await app.store.commit(Commit(records=tuple(map(to_record, asked))))
        report = await app.report_preview("shop", "morning")
    assert {(task.name, task.state, task.by) for task in report.tasks} == {
        ("drill", "missed", ""), ("drill", "given", "ada"), ("audit", "overdue", ""),
    }  # fmt: skip
    assert [line for line in summary(report).splitlines() if "To be done" in line] == [
        "• To be done: Access audit (overdue)"
    ]


async def test_a_report_that_a_kill_prevented_is_made_after_the_restart_and_told_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'healthd.db'}")
    await store.open()
    seen = [
        Outcome(f"shop/{name}", NINE + timedelta(seconds=1), timedelta(0), Level.OK, "", due=NINE, cadence="morning")
        for name in ("disk", "web")
    ]
    marks = {f"shop/{name}|morning": NINE for name in ("disk", "web")}
    await store.commit(Commit(outcomes=tuple(seen), marks=marks))
    await store.close()
    for _ in range(2):
        async with running(tmp_path, receiver.url, NINE + timedelta(minutes=10)) as app:
            (record,) = await until(lambda: kept(app, "morning"))
            assert from_json(record.body).counts == {"ok": 2}
            await until(lambda: _told(receiver, 1))
    assert len(reports(receiver)) == 1


async def test_a_first_start_makes_no_report_of_runs_it_never_had(tmp_path: Path, receiver: Receiver) -> None:
    async with running(tmp_path, receiver.url, NINE + timedelta(minutes=1)) as app:
        await app.run_now("shop/disk", "somebody")
        assert not await kept(app, "morning")
        assert not await kept(app, "review")
    assert not reports(receiver)


async def _told(receiver: Receiver, count: int) -> bool:
    return len(reports(receiver)) >= count
