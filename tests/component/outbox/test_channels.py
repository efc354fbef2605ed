"""Channels of the outbox: none holds up another; those that refuse, were corrected, taken away or given back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from healthd.model.catalogue import ChannelSpec
from healthd.notify import Policy
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.component.outbox.desk import Desk, ids, logged, message, now, reached, spec
from tests.servers.receiver import Receiver


async def test_a_hanging_channel_holds_up_no_other(desk: Desk, receiver: Receiver) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"slow": spec(stuck.url, "slow", timeout="60s"), "team": spec(receiver.url)})
        desk.outbox.start()
        await desk.tell(*(message(n, "slow") for n in range(10)))
        await stuck.expect(4)
        await desk.tell(*(message(n) for n in range(10)))
        requests = await receiver.expect(10)
        assert len(set(ids(requests))) == 10


async def test_sends_a_few_at_once_but_no_more(desk: Desk) -> None:
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"team": spec(stuck.url, timeout="60s")})
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
    await desk.until(lambda: reached(desk, "retried", 1))
    await desk.tell(message(2), message(3))
    first, *others = await receiver.expect(4)
    assert all(request.monotonic - first.monotonic >= 1.0 for request in others)
    assert all(request.monotonic - first.monotonic < 30.0 for request in others)


async def test_a_permanent_refusal_is_retried_slowly_and_the_next_message_waits(desk: Desk, receiver: Receiver) -> None:
    receiver.script([404])
    desk.outbox.reconfigure({"team": spec(receiver.url)})
    desk.outbox.start()
    await desk.tell(message(1, group="INC"), message(2, group="INC", event="resolved"))
    first, second, third = await receiver.expect(3)
    assert ids([first, second, third]) == ["INC-1-team", "INC-1-team", "INC-2-team"]
    assert second.monotonic - first.monotonic >= 0.8


async def test_a_corrected_channel_is_tried_at_once(desk: Desk, receiver: Receiver) -> None:
    desk.renew(permanent=timedelta(hours=1))  # the pause that it spares
    with Receiver(default=404) as wrong:
        desk.outbox.reconfigure({"team": spec(wrong.url)})
        desk.outbox.start()
        await desk.tell(message())
        await desk.until(lambda: reached(desk, "retried", 1))
        desk.outbox.reconfigure({"team": spec(receiver.url)})
        await receiver.expect(1)
        await desk.until(desk.empty)


async def test_a_channel_corrected_while_it_sends_is_tried_at_once(desk: Desk, receiver: Receiver) -> None:
    desk.renew(first=timedelta(hours=1), longest=timedelta(hours=1))  # the pause that it spares
    with Receiver(default="hang") as stuck:
        desk.outbox.reconfigure({"team": spec(stuck.url)})
        desk.outbox.start()
        await desk.tell(message())
        await stuck.expect(1)
        desk.outbox.reconfigure({"team": spec(receiver.url)})
        await desk.until(lambda: reached(desk, "retried", 1))  # by the old channel, after its time-out
        await receiver.expect(1)
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


async def test_messages_of_a_channel_nobody_configured_wait_and_then_end(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    passed = [timedelta(0)]
    policy = Policy(poll=timedelta(seconds=0.1), unconfigured_max_age=timedelta(hours=1))
    desk = Desk(store, policy, clock=lambda: now() + passed[0])
    with capture_logs() as logs:
        desk.outbox.start()
        await store.commit(Commit(messages=(message(1, "gone"), message(2, "gone"))))
        await desk.until(lambda: logged(logs, "channel_unconfigured", 1))
        assert (await store.outbox())[0].pending == 2
        passed[0] = timedelta(hours=2)
        await desk.until(desk.empty)
    assert desk.outcomes == {("gone", "gave_up"): 2}
    assert len([line for line in logs if line["event"] == "channel_unconfigured"]) == 1
    await desk.outbox.stop(1)
    await store.close()


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
