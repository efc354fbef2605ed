"""What is written comes back as it was, in the order the protocol promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from healthd.model.outcomes import CheckState, Level
from healthd.model.records import Record
from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Commit, StoreError
from tests.component.store.examples import DAY, HOUR, MINUTE, T0, entry, incident, message, outcome


async def test_one_commit_holds_everything_that_belongs_together(store: SqlStore) -> None:
    run, state = outcome(value=0.25), CheckState("shop/web", Level.CRITICAL, firing=True, last_run=T0)
    opened, said, told = incident(), entry("it is slow", kind="opened"), message(1)
    await store.commit(Commit((run,), (state,), (opened,), (said,), (told,), {"shop/morning": T0}))
    assert await store.outcomes("shop/web") == [run]
    assert await store.states() == {"shop/web": state}
    assert await store.open_incidents() == [opened]
    assert await store.timeline("INC-0001") == [said]
    assert await store.due_messages("slack", T0) == [told]
    assert await store.marks() == {"shop/morning": T0}


async def test_everything_is_still_there_after_reopening(url: str) -> None:
    for number in range(3):
        store = SqlStore(url)
        await store.open()
        assert len(await store.outcomes("shop/web")) == number
        await store.commit(Commit(outcomes=(outcome(at=T0 + number * MINUTE),), incidents=(incident(number),)))
        await store.close()
    await store.open()
    assert [i.id for i in await store.open_incidents()] == ["INC-0000", "INC-0001", "INC-0002"]
    await store.close()


async def test_a_repeated_commit_changes_nothing(store: SqlStore) -> None:
    commit = Commit(
        (outcome(value=1),), (CheckState("shop/web"),), (incident(),), (entry("a"), entry("b")), (message(1),)
    )
    for _ in range(3):
        await store.commit(commit)
    assert await store.outcomes("shop/web") == [outcome(value=1)]
    assert await store.incidents() == [incident()]
    assert await store.timeline("INC-0001") == [entry("a"), entry("b")]
    assert [o.pending for o in await store.outbox()] == [1]


async def test_states_and_incidents_are_replaced_whole(store: SqlStore) -> None:
    await store.commit(Commit(states=(CheckState("shop/web", reason="slow"),), incidents=(incident(),)))
    resolved = incident(resolved_at=T0 + HOUR, details={"peak": 2.5, "by": {"mount": "/"}})
    await store.commit(Commit(states=(CheckState("shop/web", reason="fine"),), incidents=(resolved,)))
    assert (await store.states())["shop/web"].reason == "fine"
    assert await store.incident("INC-0001") == resolved
    assert await store.open_incidents() == []
    assert await store.incident("INC-9999") is None


async def test_texts_from_broken_servers_are_kept_as_they_are(store: SqlStore) -> None:
    reason = "NUL \x00, half a pair \udc80, quotes '\" ? %s, \N{SNOWMAN} \U0001f600, \x1b[31m"
    run = replace(outcome(), reason=reason)
    await store.commit(Commit((run,), incidents=(incident(reason=reason),), timeline=(entry(reason),)))
    assert await store.outcomes("shop/web") == [run]
    assert (await store.open_incidents())[0].reason == reason
    assert (await store.timeline("INC-0001"))[0].text == reason


async def test_times_are_exact_to_the_microsecond_and_come_back_in_utc(store: SqlStore) -> None:
    at = T0.replace(microsecond=999_999).astimezone(timezone(timedelta(hours=5, minutes=45)))
    await store.commit(Commit(outcomes=(outcome(at=at),), marks={"job": at}))
    stored = (await store.outcomes("shop/web"))[0].started
    assert stored == at
    assert stored.utcoffset() == timedelta(0)
    assert await store.marks() == {"job": at}


async def test_outcomes_are_newest_first_and_bounded_by_since_before_and_limit(store: SqlStore) -> None:
    runs = [outcome(at=T0 + n * MINUTE) for n in range(5)]
    await store.commit(Commit(outcomes=(*runs, outcome("shop/other"))))
    assert await store.outcomes("shop/web") == runs[::-1]
    assert await store.outcomes("shop/web", since=T0 + MINUTE, before=T0 + 3 * MINUTE) == [runs[2], runs[1]]
    assert await store.outcomes("shop/web", limit=2) == [runs[4], runs[3]]
    assert await store.outcomes("shop/none") == []


async def test_latest_is_the_newest_outcome_of_each_check(store: SqlStore) -> None:
    assert await store.latest() == {}
    runs = [outcome(f"shop/{n}", T0 + minute * MINUTE) for n in range(20) for minute in (3, 1, 2)]
    await store.commit(Commit(outcomes=tuple(runs)))
    latest = await store.latest()
    assert sorted(latest) == sorted(f"shop/{n}" for n in range(20))
    assert {o.started for o in latest.values()} == {T0 + 3 * MINUTE}


async def test_forgotten_checks_keep_their_outcomes(store: SqlStore) -> None:
    await store.commit(Commit((outcome(),), (CheckState("shop/web"), CheckState("shop/api"))))
    await store.forget(["shop/web", "never/there"])
    assert set(await store.states()) == {"shop/api"}
    assert len(await store.outcomes("shop/web")) == 1


async def test_incidents_by_system_check_and_time_newest_first(store: SqlStore) -> None:
    made = [incident(n, T0 + n * DAY, system=f"s{n % 2}", check_id=f"s{n % 2}/c{n % 3}") for n in range(6)]
    await store.commit(Commit(incidents=tuple(made)))
    assert await store.incidents() == made[::-1]
    assert await store.incidents(system="s1") == [made[5], made[3], made[1]]
    assert await store.incidents(check_id="s0/c2") == [made[2]]
    assert await store.incidents(before=T0 + 2 * DAY, limit=1) == [made[1]]
    assert await store.open_incidents() == made


async def test_the_timeline_tells_things_in_the_order_they_happened(store: SqlStore) -> None:
    await store.commit(Commit(timeline=(entry("third", T0 + MINUTE), entry("first"), entry("second", kind="note"))))
    assert [e.text for e in await store.timeline("INC-0001")] == ["first", "second", "third"]


async def test_marks_move_forward(store: SqlStore) -> None:
    await store.commit(Commit(marks={"a": T0, "b": T0}))
    await store.commit(Commit(marks={"a": T0 + DAY}))
    assert await store.marks() == {"a": T0 + DAY, "b": T0}


async def test_audit_entries_are_newest_first(store: SqlStore) -> None:
    entries = [AuditEntry(T0 + (n // 2) * MINUTE, f"user{n}", "ack", f"INC-{n}", "x\x00y") for n in range(5)]
    for one in entries:
        await store.audit(one)
    assert await store.audits() == entries[::-1]
    assert await store.audits(limit=2) == [entries[4], entries[3]]


async def test_many_commits_at_once_are_all_durable(store: SqlStore, url: str) -> None:
    runs = [outcome(f"shop/{n}", T0 + n * MINUTE) for n in range(1200)]
    await asyncio.gather(*(store.commit(Commit((run,), (CheckState(run.check_id),))) for run in runs))
    other = SqlStore(url)
    await other.open()
    assert len(await other.latest()) == len(await other.states()) == 1200
    await other.close()


async def test_one_commit_that_cannot_be_stored_does_not_harm_its_neighbours(store: SqlStore) -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless
    naive = T0.replace(tzinfo=None)
    bad = [  # the second is refused by the database itself, the others on the way there
        Commit(outcomes=(outcome("bad/a"), replace(outcome("bad/b"), started=naive))),
        Commit(outcomes=(outcome("bad/c"),), incidents=(incident(check_id=None),)),
        Commit(outcomes=(outcome("bad/d"),), incidents=(incident(details=endless),)),
    ]
    good = [Commit(outcomes=(outcome(f"good/{n}"),)) for n in range(10)]
    work = [c for pair in zip(good, bad * 4, strict=False) for c in pair]
    results = await asyncio.gather(*(store.commit(commit) for commit in work), return_exceptions=True)
    errors = [r for r in results if r is not None]
    assert len(errors) == 10
    assert all(isinstance(e, StoreError) and not e.transient for e in errors)
    assert sorted(await store.latest()) == sorted(f"good/{n}" for n in range(10))


async def test_commits_handed_over_before_close_are_written(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    waiting = [asyncio.create_task(store.commit(Commit((outcome(f"shop/{n}"),)))) for n in range(700)]
    await asyncio.sleep(0)  # let them be handed over
    await store.close()
    await asyncio.gather(*waiting)
    await store.open()
    assert len(await store.latest()) == 700
    await store.close()


async def test_a_cancelled_caller_disturbs_nobody(store: SqlStore) -> None:
    cancelled = asyncio.create_task(store.commit(Commit((outcome("shop/a"),))))
    await asyncio.sleep(0)
    cancelled.cancel()
    await store.commit(Commit((outcome("shop/b"),)))
    assert "shop/b" in await store.latest()


async def test_a_store_that_is_not_open_says_so(url: str) -> None:
    store = SqlStore(url)
    for call in (store.commit(Commit()), store.states(), store.audit(AuditEntry(T0, "a", "b", "c"))):
        with pytest.raises(StoreError, match="not open"):
            await call
    await store.close()


async def test_an_empty_commit_is_fine(store: SqlStore) -> None:
    await store.commit(Commit())
    await store.forget([])


async def test_records_are_found_by_kind_system_and_name(store: SqlStore) -> None:
    asked = Record("attestation", "a-1", T0, "shop", "drill", body={"who": "ann", "left": None})
    later = Record("attestation", "a-2", T0 + DAY, "shop", "review", closed_at=T0 + DAY)
    other = Record("attestation", "a-3", T0 + HOUR, "bank", "drill")
    await store.commit(Commit(records=(asked, later, other, Record("silence", "a-1", T0))))
    assert await store.record("attestation", "a-1") == asked
    assert await store.record("report", "a-1") is None
    assert await store.records("attestation") == [later, other, asked]
    assert await store.records("attestation", limit=1) == [later]
    assert await store.records("attestation", system="shop", name="drill") == [asked]
    assert await store.records("attestation", open_only=True, before=T0 + HOUR) == [asked]
    given = replace(asked, closed_at=T0 + HOUR, body={"by": "ann"})
    await store.commit(Commit(records=(given,)))
    assert await store.record("attestation", "a-1") == given
    assert await store.records("attestation", open_only=True) == [other]


async def test_a_list_goes_on_where_its_page_ended_though_times_are_the_same(store: SqlStore) -> None:
    asked = [Record("attestation", f"a-{n}", T0 + DAY * (n == 2)) for n in range(5)]
    opened = [incident(n, T0) for n in range(3)]
    await store.commit(Commit(records=tuple(asked), incidents=tuple(opened)))
    ids = [r.id for r in await store.records("attestation", before=T0, before_id="a-3")]
    assert ids == ["a-1", "a-0"]
    first, *rest = await store.incidents()
    assert await store.incidents(before=first.opened_at, before_id=first.id) == rest
    assert await store.incidents(before=first.opened_at) == []
