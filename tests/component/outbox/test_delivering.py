"""The outbox on a real store and a real receiver: nothing lost, nothing out of order, every message told once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.component.outbox.desk import Desk, ids, logged, message, now, reached, spec
from tests.servers.process import free_port
from tests.servers.receiver import Receiver, Request


async def test_delivers_at_once_and_notes_it_on_the_timeline(desk: Desk, receiver: Receiver) -> None:
    desk.renew(poll=timedelta(hours=1))  # looks when it is told to
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(1))
    await desk.until(desk.empty)
    sent = message(2)
    await desk.tell(sent)
    _, request = await receiver.expect(2)
    assert request.json["data"] == sent.body
    await desk.until(desk.empty)
    assert await desk.kinds("INC-2") == ["told"]
    assert desk.outcomes == {("team", "accepted"): 2}


async def test_delivers_what_an_earlier_process_left(desk: Desk, receiver: Receiver) -> None:
    await desk.tell(message(1))
    await desk.store.failed("INC-1-1-team", "it was down", now() + timedelta(hours=1))
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    assert ids(await receiver.expect(1)) == ["INC-1-1-team"]


async def test_finds_what_another_process_wrote_without_being_woken(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(1))
    await desk.until(desk.empty)
    await desk.store.commit(Commit(messages=(message(2),)))
    await receiver.expect(2)


async def test_retries_until_accepted_with_growing_pauses(desk: Desk, receiver: Receiver) -> None:
    receiver.script([500, "reset", "garbage", 503])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message())
    requests = await receiver.expect(5)
    assert set(ids(requests)) == {"INC-1-1-team"}
    pauses = [b.monotonic - a.monotonic for a, b in pairwise(requests)]
    assert pauses[0] >= 0.08
    assert pauses[1] >= 0.16
    assert all(pause >= 0.32 for pause in pauses[2:])
    await desk.until(desk.empty)
    assert desk.outcomes == {("team", "retried"): 4, ("team", "accepted"): 1}


async def test_a_receiver_that_is_away_gets_everything_when_it_returns(desk: Desk) -> None:
    receiver = Receiver(port=free_port())
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(*(message(n) for n in range(20)))
    await desk.until(lambda: reached(desk, "retried", 20))
    with receiver:
        await desk.until(desk.empty)
        assert sorted(ids(receiver.requests)) == sorted(f"INC-{n}-{n}-team" for n in range(20))


async def test_messages_of_one_incident_keep_their_order(desk: Desk, receiver: Receiver) -> None:
    receiver.decide(lambda request: 500 if Random(len(receiver.requests)).random() < 0.4 else None)
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    events = ["firing", "worsened", "improved", "resolved"]
    for number, event in enumerate(events):
        await desk.tell(*(message(number, group=f"INC-{g}", event=event) for g in range(5)))
    await desk.until(desk.empty)
    for g in range(5):
        told = [r.json["type"] for r in receiver.requests if r.headers["webhook-id"].startswith(f"INC-{g}-")]
        assert list(dict.fromkeys(told)) == [f"incident.{event}" for event in events]


async def test_one_incident_that_is_refused_holds_up_no_other(desk: Desk, receiver: Receiver) -> None:
    receiver.decide(lambda request: 500 if request.headers["webhook-id"].startswith("INC-0-") else None)
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(0), message(1), message(2))
    await desk.until(lambda: reached(desk, "accepted", 2))
    assert (await desk.store.outbox())[0].pending == 1


async def test_a_late_message_is_tried_before_it_is_given_up(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(created_at=now() - timedelta(days=3)))
    await receiver.expect(1)
    await desk.until(desk.empty)
    assert desk.outcomes == {("team", "accepted"): 1}


async def test_an_outage_is_one_line_in_the_log_not_one_per_attempt(desk: Desk, receiver: Receiver) -> None:
    receiver.default = 500
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    with capture_logs() as logs:
        desk.outbox.start()
        await desk.tell(*(message(n) for n in range(5)))
        await desk.until(lambda: reached(desk, "retried", 12))
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["reason"].split(" ", 1)[1]) for line in warnings] == [
        ("notification_refused", "answered 500 Internal Server Error")
    ]


async def test_an_accepted_message_is_not_sent_again_while_the_store_takes_no_writes(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    receiver.script([500])
    locked = sqlite3.connect(tmp_path / "healthd.db", isolation_level=None, check_same_thread=False)

    def lock(request: Request) -> None:
        if len(receiver.requests) == 1:
            locked.execute("BEGIN IMMEDIATE")

    receiver.decide(lock)
    with capture_logs() as logs:
        await desk.tell(message())
        await receiver.expect(2)  # tried again although the refusal could not be recorded, and accepted
        await desk.until(lambda: logged(logs, "delivery_not_recorded", 1))
    locked.execute("ROLLBACK")
    await desk.until(desk.empty)
    assert len(receiver.requests) == 2
    assert await desk.kinds("INC-1") == ["told"]


async def test_a_clock_set_back_does_not_hold_messages_for_its_difference(tmp_path: Path, receiver: Receiver) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    ahead = [timedelta(days=2)]
    desk = Desk(store, clock=lambda: now() + ahead[0])
    receiver.script([500])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(created_at=now() + ahead[0]))
    await receiver.expect(1)
    ahead[0] = timedelta(0)
    await receiver.expect(2)
    await desk.until(desk.empty)
    await desk.outbox.stop(1)
    await store.close()


async def test_hundreds_of_incidents_are_told_once_each(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    for start in range(0, 300, 50):
        await desk.tell(*(message(n) for n in range(start, start + 50)))
    await desk.until(desk.empty)
    assert sorted(Counter(ids(receiver.requests)).values()) == [1] * 300
