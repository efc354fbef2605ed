"""The outbox on a real store and a real receiver: nothing lost, nothing out of order, nobody held up by another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import Message
from healthd.notify import Outbox, Policy
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.servers.process import free_port
from tests.servers.receiver import Receiver, Request
from tests.telling import make_incident, make_message

# As in production, but ten times as fast.
POLICY = Policy(
    first=timedelta(seconds=0.1),
    longest=timedelta(seconds=0.4),
    permanent=timedelta(seconds=1),
    poll=timedelta(seconds=0.2),
)


def now() -> datetime:
    return datetime.now(UTC)


def spec(url: str, name: str = "team", max_age: timedelta = timedelta(hours=1)) -> ChannelSpec:
    return ChannelSpec(name, "webhook", {"url": f"{url}/{name}", "unsigned": True, "timeout": "1s"}, max_age)


@dataclass
class Desk:
    """A store, its outbox, and what was observed."""

    store: SqlStore
    policy: Policy = POLICY
    clock: Callable[[], datetime] = now
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    heard: asyncio.Condition = field(default_factory=asyncio.Condition)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        return Outbox(self.store, observe=self._observe, now=self.clock, rng=Random(7), policy=self.policy)

    def _observe(self, channel: str, outcome: str) -> None:
        self.outcomes[channel, outcome] += 1

    async def tell(self, *messages: Message) -> None:
        """As the daemon does: durable first, then wake."""
        incidents = tuple(make_incident(id=group) for group in {message.group for message in messages})
        await self.store.commit(Commit(incidents=incidents, messages=messages))
        self.outbox.wake({message.channel for message in messages})

    async def until(self, holds: Callable[[], Awaitable[bool]], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not await holds():
                await asyncio.sleep(0.02)

    async def empty(self) -> bool:
        return not await self.store.outbox()

    async def kinds(self, incident_id: str) -> list[str]:
        return [entry.kind for entry in await self.store.timeline(incident_id)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    made = Desk(store)
    yield made
    await made.outbox.stop(1)
    await store.close()


def message(number: int = 1, channel: str = "team", group: str = "", event: str = "firing", **more: Any) -> Message:
    group = group or f"INC-{number}"
    return make_message(f"{group}-{number}-{channel}", channel, group, event, more.pop("created_at", now()), **more)


def ids(requests: Iterable[Request]) -> list[str]:
    return [request.headers["webhook-id"] for request in requests]


async def test_delivers_at_once_and_notes_it_on_the_timeline(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await asyncio.sleep(0)
    sent = message()
    await desk.tell(sent)
    (request,) = await receiver.expect(1)
    assert request.at - sent.created_at.timestamp() < 0.5
    assert request.json["data"] == sent.body
    await desk.until(desk.empty)
    assert await desk.kinds("INC-1") == ["told"]
    assert desk.outcomes == {("team", "accepted"): 1}


async def test_delivers_what_an_earlier_process_left(desk: Desk, receiver: Receiver) -> None:
    await desk.tell(message(1))
    await desk.store.failed("INC-1-1-team", "it was down", now() + timedelta(hours=1))
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    assert ids(await receiver.expect(1)) == ["INC-1-1-team"]


async def test_finds_what_another_process_wrote_without_being_woken(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await asyncio.sleep(0.1)
    await desk.store.commit(Commit(messages=(message(),)))
    await receiver.expect(1, timeout=3)


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
    await desk.until(lambda: _reached(desk, "retried", 20))
    with receiver:
        await desk.until(desk.empty)
        assert sorted(ids(receiver.requests)) == sorted(f"INC-{n}-{n}-team" for n in range(20))


async def _reached(desk: Desk, outcome: str, count: int, channel: str = "team") -> bool:
    return desk.outcomes[channel, outcome] >= count


async def test_messages_of_one_incident_keep_their_order(desk: Desk, receiver: Receiver) -> None:
    receiver.decide(lambda request: 500 if Random(len(receiver.requests)).random() < 0.4 else None)
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    events = ["firing", "worsened", "improved", "resolved"]
    for number, event in enumerate(events):
        await desk.tell(*(message(number, group=f"INC-{g}", event=event) for g in range(5)))
    await desk.until(desk.empty, timeout=30)
    for g in range(5):
        told = [r.json["type"] for r in receiver.requests if r.headers["webhook-id"].startswith(f"INC-{g}-")]
        assert list(dict.fromkeys(told)) == [f"incident.{event}" for event in events]


async def test_one_incident_that_is_refused_holds_up_no_other(desk: Desk, receiver: Receiver) -> None:
    receiver.decide(lambda request: 500 if request.headers["webhook-id"].startswith("INC-0-") else None)
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(0), message(1), message(2))
    await desk.until(lambda: _reached(desk, "accepted", 2))
    assert (await desk.store.outbox())[0].pending == 1


async def test_a_hanging_channel_holds_up_no_other(desk: Desk, receiver: Receiver) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"slow": spec(stuck.url, "slow"), "team": spec(receiver.url)})
        desk.outbox.start()
        await desk.tell(*(message(n, "slow") for n in range(10)))
        await stuck.expect(4)
        await desk.tell(*(message(n) for n in range(10)))
        requests = await receiver.expect(10, timeout=1)
        assert len(set(ids(requests))) == 10


async def test_sends_a_few_at_once_but_no_more(desk: Desk) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"team": spec(stuck.url)})
        desk.outbox.start()
        await desk.tell(*(message(n) for n in range(10)))
        await stuck.expect(4)
        await asyncio.sleep(0.3)  # longer than the outbox's poll: a fifth would be here by now
        assert len(stuck.requests) == 4


async def test_retry_after_pauses_the_whole_channel(desk: Desk, receiver: Receiver) -> None:
    receiver.script([(429, {"Retry-After": "1"})])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(1))
    await desk.until(lambda: _reached(desk, "retried", 1))
    await desk.tell(message(2), message(3))
    first, *others = await receiver.expect(4)
    assert all(request.monotonic - first.monotonic >= 1.0 for request in others)
    assert all(request.monotonic - first.monotonic < 2.0 for request in others)


async def test_a_permanent_refusal_is_retried_slowly_and_the_next_message_waits(desk: Desk, receiver: Receiver) -> None:
    receiver.script([404])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(1, group="INC"), message(2, group="INC", event="resolved"))
    first, second, third = await receiver.expect(3)
    assert ids([first, second, third]) == ["INC-1-team", "INC-1-team", "INC-2-team"]
    assert second.monotonic - first.monotonic >= 0.8


async def test_a_corrected_channel_is_tried_at_once(desk: Desk, receiver: Receiver) -> None:
    with Receiver(default=404) as wrong:
        desk.outbox.reconfigure({"team": spec(wrong.url)})
        desk.outbox.start()
        await desk.tell(message())
        await desk.until(lambda: _reached(desk, "retried", 1))
        desk.outbox.reconfigure({"team": spec(receiver.url)})
        await receiver.expect(1, timeout=0.7)  # its pause would be a second
        await desk.until(desk.empty)


async def test_a_channel_corrected_while_it_sends_is_tried_at_once(desk: Desk, receiver: Receiver) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"team": spec(stuck.url)})
        desk.outbox.start()
        await desk.tell(message())
        await stuck.expect(1)
        desk.outbox.reconfigure({"team": spec(receiver.url)})
        await desk.until(lambda: _reached(desk, "retried", 1))  # by the old channel, after its time-out
        await receiver.expect(1, timeout=0.7)
        await desk.until(desk.empty)


async def test_gives_up_after_the_channels_age_and_says_so(desk: Desk, receiver: Receiver) -> None:
    receiver.default = (400, {}, "invalid_payload")
    desk.outbox.reconfigure({"team": spec(receiver.url, max_age=timedelta(seconds=0.5))})
    with capture_logs() as logs:
        desk.outbox.start()
        await desk.tell(message())
        await desk.until(desk.empty)
    assert desk.outcomes["team", "gave_up"] == 1
    assert len(receiver.requests) >= 2  # a last attempt is made when its time is over
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["channel"], line["message"]) == ("notification_given_up", "team", "INC-1-1-team")
    (entry,) = await desk.store.timeline("INC-1")
    assert entry.text == f"firing: gave up telling team: {line['reason']}"


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
        await desk.until(lambda: _reached(desk, "retried", 12))
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["reason"].split(" ", 1)[1]) for line in warnings] == [
        ("notification_refused", "answered 500 Internal Server Error")
    ]


async def test_messages_of_a_channel_nobody_configured_wait_and_then_end(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    policy = Policy(poll=timedelta(seconds=0.1), unconfigured_max_age=timedelta(seconds=1))
    desk = Desk(store, policy)
    with capture_logs() as logs:
        desk.outbox.start()
        await store.commit(Commit(messages=(message(1, "gone"), message(2, "gone"))))
        await desk.until(lambda: _logged(logs, "channel_unconfigured", 1))
        assert (await store.outbox())[0].pending == 2
        await desk.until(desk.empty)
    assert desk.outcomes == {("gone", "gave_up"): 2}
    assert len([line for line in logs if line["event"] == "channel_unconfigured"]) == 1
    await desk.outbox.stop(1)
    await store.close()


async def _logged(logs: Any, event: str, count: int) -> bool:
    return len([line for line in logs if line["event"] == event]) >= count


async def test_a_channel_taken_away_and_given_back_delivers_what_waited(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    desk.outbox.reconfigure({})
    await desk.tell(message())
    await asyncio.sleep(0.5)  # several polls
    assert receiver.requests == []
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    await receiver.expect(1)
    await desk.until(desk.empty)


async def test_a_channel_that_cannot_be_built_changes_nothing(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    with pytest.raises(ValueError, match="unknown type"):
        desk.outbox.reconfigure({"pigeon": ChannelSpec("pigeon", "pigeon", {})})
    await desk.tell(message())
    await receiver.expect(1)


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
        await desk.until(lambda: _logged(logs, "delivery_not_recorded", 1))
    locked.execute("ROLLBACK")
    await desk.until(desk.empty, timeout=30)
    assert len(receiver.requests) == 2
    assert await desk.kinds("INC-1") == ["told"]


async def test_stopping_lets_a_send_finish_and_records_it(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(*(message(n) for n in range(4)))
    await receiver.expect(1)
    await desk.outbox.stop(5)
    waiting = sum(state.pending for state in await desk.store.outbox())
    assert len(receiver.requests) + waiting == 4


async def test_stopping_waits_no_longer_than_its_grace(desk: Desk) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"team": spec(stuck.url)})
        desk.outbox.start()
        await desk.tell(message())
        await stuck.expect(1)
        async with asyncio.timeout(0.8):
            await desk.outbox.stop(0.2)
    assert (await desk.store.outbox())[0].pending == 1


async def test_a_new_process_sends_again_what_the_old_one_could_not_finish(desk: Desk, receiver: Receiver) -> None:
    receiver.script(["hang"])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message())
    await receiver.expect(1)
    await desk.outbox.stop(0)
    desk.outbox = desk.new_outbox()
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    assert ids(await receiver.expect(2)) == ["INC-1-1-team", "INC-1-1-team"]


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
    await receiver.expect(2, timeout=5)
    await desk.until(desk.empty)
    await desk.outbox.stop(1)
    await store.close()


async def test_hundreds_of_incidents_are_told_once_each(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    for start in range(0, 300, 50):
        await desk.tell(*(message(n) for n in range(start, start + 50)))
    await desk.until(desk.empty, timeout=30)
    assert sorted(Counter(ids(receiver.requests)).values()) == [1] * 300
