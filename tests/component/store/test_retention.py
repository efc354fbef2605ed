"""History, summaries and what is deleted when."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from healthd.model.outcomes import Level
from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Availability, Commit, Point
from tests.component.store.examples import DAY, HOUR, MINUTE, T0, entry, incident, message, outcome, per_series

KEPT = {"outcomes": 7 * DAY, "history": 400 * DAY}


async def record(store: SqlStore, hours: int, every: timedelta = 10 * MINUTE, start: datetime = T0) -> None:
    """`hours` of runs; the latency counts the runs within each hour, plus 100 for every hour."""
    per_hour = HOUR // every
    runs = (outcome(at=start + n * every, value=100 * (n // per_hour) + n % per_hour) for n in range(hours * per_hour))
    await store.commit(Commit(outcomes=tuple(runs)))


async def test_a_short_history_has_slots_of_equal_width_without_the_empty_ones(store: SqlStore) -> None:
    values = {0: 1.0, 20: 3.0, 70: 5.0}
    await store.commit(
        Commit(outcomes=tuple(outcome(at=T0 + timedelta(seconds=s), value=v) for s, v in values.items()))
    )
    points = await store.history("shop/web", "latency", since=T0, until=T0 + 5 * MINUTE, points=5)
    assert points == [Point(T0, 1, 2, 3), Point(T0 + MINUTE, 5, 5, 5)]


@pytest.mark.parametrize("points", [1, 7, 100, 300])
async def test_there_are_never_many_more_slots_than_asked_for(store: SqlStore, points: int) -> None:
    await record(store, 30, every=MINUTE)
    found = await store.history("shop/web", "latency", since=T0, until=T0 + 30 * HOUR, points=points)
    assert 1 <= len(found) <= points + 1
    assert len({later.at - earlier.at for earlier, later in pairwise(found)}) <= 1


async def test_words_missing_measures_and_numbers_that_are_none_stay_out_of_the_history(store: SqlStore) -> None:
    odd = [outcome(at=T0 + n * MINUTE, value=v) for n, v in enumerate((float("nan"), float("inf"), "green", 2.0))]
    await store.commit(Commit(outcomes=(*odd, outcome(at=T0 + HOUR))))
    found = await store.history("shop/web", "latency", since=T0, until=T0 + DAY)
    assert [p.maximum for p in found] == [2.0]
    assert await store.history("shop/web", "unheard", since=T0, until=T0 + DAY) == []
    assert await store.history("shop/web", "latency", since=T0, until=T0) == []


async def test_of_several_series_the_worst_is_shown_and_any_can_be_asked_for(store: SqlStore) -> None:
    await store.commit(Commit(outcomes=(per_series(T0, {"/": 0.5, "/var": 0.9}),)))
    await store.commit(Commit(outcomes=(per_series(T0 + HOUR, {"/": 0.1, "/var": 0.8}, offender="/"),)))
    for _ in range(2):  # from outcomes, then from summaries
        worst = await store.history("host/disk", "used", since=T0, until=T0 + 200 * DAY)
        assert [p.maximum for p in worst] == [0.9]
        assert [p.minimum for p in worst] == [0.1]
        one = await store.history("host/disk", "used", since=T0, until=T0 + 200 * DAY, series="/var")
        assert [(p.minimum, p.maximum) for p in one] == [(0.8, 0.9)]
        await store.prune(T0 + 100 * DAY, **KEPT)


async def test_history_is_the_same_before_and_after_outcomes_became_summaries(store: SqlStore) -> None:
    await record(store, 80)
    window = {"since": T0, "until": T0 + 100 * HOUR}
    before = await store.history("shop/web", "latency", **window, points=100)
    assert before[1] == Point(T0 + HOUR, 100, 102.5, 105)
    deleted = await store.prune(T0 + 60 * HOUR + 5 * MINUTE, outcomes=10 * HOUR, history=400 * DAY)
    assert deleted == 50 * 6
    assert (await store.outcomes("shop/web", limit=1000))[-1].started == T0 + 50 * HOUR
    assert await store.history("shop/web", "latency", **window, points=100) == before
    fine = await store.history("shop/web", "latency", since=T0 + 48 * HOUR, until=T0 + 52 * HOUR, points=24)
    assert [p.at for p in fine] == [
        T0 + 48 * HOUR,
        T0 + 49 * HOUR,
        *(T0 + 50 * HOUR + n * 10 * MINUTE for n in range(12)),
    ]


async def test_pruning_again_and_again_loses_and_doubles_nothing(store: SqlStore) -> None:
    await record(store, 24)
    whole = await store.history("shop/web", "latency", since=T0, until=T0 + DAY, points=20)
    for hour in range(30):
        await store.prune(T0 + hour * HOUR + 30 * MINUTE, outcomes=3 * HOUR, history=400 * DAY)
        assert await store.history("shop/web", "latency", since=T0, until=T0 + DAY, points=20) == whole


async def test_outcomes_stored_late_are_summed_up_before_they_go(store: SqlStore) -> None:
    await record(store, 4)
    await store.prune(T0 + 5 * HOUR, **KEPT)
    await store.commit(Commit(outcomes=(outcome(at=T0 + 90 * MINUTE + timedelta(seconds=1), value=999),)))
    await store.prune(T0 + 8 * DAY, **KEPT)
    found = await store.history("shop/web", "latency", since=T0, until=T0 + 9 * DAY, points=400)
    assert max(p.maximum for p in found) == 999


async def test_the_newest_outcome_of_a_rare_check_stays(store: SqlStore) -> None:
    await record(store, 2)
    await store.prune(T0 + 100 * DAY, **KEPT)
    assert [o.started for o in await store.outcomes("shop/web")] == [T0 + 110 * MINUTE]
    await store.prune(T0 + 500 * DAY, **KEPT)
    assert await store.outcomes("shop/web") == []
    assert await store.history("shop/web", "latency", since=T0, until=T0 + 500 * DAY) == []


async def test_old_incidents_messages_and_audits_go_open_ones_stay(store: SqlStore) -> None:
    resolved = [incident(n, T0, resolved_at=T0 + n * DAY) for n in (1, 300)]
    opened = incident(500)
    told = tuple(entry("opened", incident_id=i.id) for i in (*resolved, opened))
    await store.commit(Commit(incidents=(*resolved, opened), timeline=told, messages=(message(1), message(2))))
    await store.delivered("m-1", T0)
    await store.audit(AuditEntry(T0, "kim", "ack", "INC-0001"))
    assert await store.prune(T0 + 500 * DAY, **KEPT) == 2 + 1 + 1
    assert await store.incidents() == [opened, resolved[1]]
    assert await store.timeline("INC-0001") == []
    assert len(await store.timeline("INC-0300")) == len(await store.timeline("INC-0500")) == 1
    assert [o.pending for o in await store.outbox()] == [1]
    assert await store.audits() == []


async def test_commits_and_questions_go_on_while_much_is_pruned(store: SqlStore) -> None:
    for day in range(4):
        await record(store, 24, every=timedelta(seconds=15), start=T0 + day * DAY)
    pruning = asyncio.create_task(store.prune(T0 + 30 * DAY, **KEPT))
    slowest = 0.0
    count = 0
    while not pruning.done():
        started = time.monotonic()
        await store.commit(Commit(outcomes=(outcome("shop/other", T0 + 30 * DAY + count * MINUTE),)))
        slowest, count = max(slowest, time.monotonic() - started), count + 1
    assert await pruning == 4 * 24 * 240 - 1
    assert count > 20
    assert slowest < 1


async def test_availability_counts_how_runs_ended_in_summaries_and_since(store: SqlStore) -> None:
    levels = [Level.OK, Level.CRITICAL, Level.UNKNOWN, Level.WARNING]
    runs = [outcome(at=T0 + n * 10 * MINUTE, level=levels[n % 4]) for n in range(24)]  # six an hour for four hours
    await store.commit(Commit(outcomes=(*runs, outcome("shop/idle", at=T0, level=Level.UNKNOWN))))
    for now in (T0, T0 + 2 * HOUR + 30 * MINUTE, T0 + 9 * DAY):  # nothing, two hours, then everything summed up
        await store.prune(now, **KEPT)
        found = await store.availability(T0)
        assert found["shop/web"] == Availability(24, 6, 6)
        assert found["shop/web"].ratio == pytest.approx(12 / 18)
        assert found["shop/idle"].ratio is None
    later = await store.availability(T0 + 2 * HOUR + MINUTE, ["shop/web", "shop/none"])
    assert later == {"shop/web": Availability(12, 3, 3)}
