"""The durable queue between incidents and channels."""

from __future__ import annotations

from healthd.store import SqlStore
from healthd.store.base import Commit, OutboxState
from tests.component.store.examples import HOUR, MINUTE, T0, entry, message

LATER = T0 + 10 * HOUR


async def ids(store: SqlStore, channel: str = "slack", now=LATER, limit: int = 20) -> list[str]:
    return [m.id for m in await store.due_messages(channel, now, limit)]


async def test_only_the_first_waiting_message_of_a_group_is_due(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1), message(2), message(3, group="INC-0002"))))
    assert await ids(store) == ["m-1", "m-3"]
    await store.delivered("m-1", LATER)
    assert await ids(store) == ["m-2", "m-3"]
    assert await ids(store, limit=1) == ["m-2"]


async def test_a_failed_message_blocks_its_group_but_no_other(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1), message(2), message(3, group="INC-0002"))))
    await store.failed("m-1", "HTTP 500\x00", LATER + HOUR)
    assert await ids(store) == ["m-3"]
    assert await store.next_attempt("slack") == T0 + 3 * MINUTE
    first = (await store.due_messages("slack", LATER + HOUR))[0]
    assert (first.id, first.attempts, first.last_error, first.next_attempt_at) == ("m-1", 1, "HTTP 500", LATER + HOUR)


async def test_channels_do_not_wait_for_each_other(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1), message(2, channel="pagerduty"))))
    await store.failed("m-1", "refused", LATER + HOUR)
    assert await ids(store) == []
    assert await ids(store, "pagerduty") == ["m-2"]
    assert await store.next_attempt("slack") == LATER + HOUR
    assert await store.next_attempt("nobody") is None


async def test_a_message_is_due_from_its_next_attempt_on(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1, next_attempt_at=T0 + HOUR),)))
    assert await ids(store, now=T0 + HOUR - MINUTE) == []
    assert await ids(store, now=T0 + HOUR) == ["m-1"]


async def test_a_message_given_up_makes_way_for_the_next(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1), message(2))))
    note = entry("slack: given up", LATER, kind="note")
    await store.gave_up("m-1", LATER, note)
    assert await ids(store) == ["m-2"]
    assert await store.timeline("INC-0001") == [note]


async def test_what_was_delivered_is_noted_and_never_due_again(store: SqlStore) -> None:
    await store.commit(Commit(messages=(message(1),)))
    note = entry("slack: accepted", LATER)
    for _ in range(2):  # a repetition after a lost connection
        await store.delivered("m-1", LATER, note)
    await store.commit(Commit(messages=(message(1),)))
    await store.failed("m-1", "too late", LATER)
    assert await ids(store) == []
    assert await store.outbox() == []
    assert await store.timeline("INC-0001") == [note]


async def test_the_outbox_counts_what_waits_per_channel(store: SqlStore) -> None:
    waiting = tuple(message(n, group=f"g{n % 2}", channel="slack" if n < 4 else "mail") for n in range(6))
    await store.commit(Commit(messages=waiting))
    await store.delivered("m-0", LATER)
    assert await store.outbox() == [
        OutboxState("mail", 2, T0 + 4 * MINUTE),
        OutboxState("slack", 3, T0 + MINUTE),
    ]


async def test_a_message_comes_back_whole(store: SqlStore) -> None:
    sent = message(1, attempts=3, next_attempt_at=T0, last_error="HTTP 429")
    await store.commit(Commit(messages=(sent,)))
    assert await store.due_messages("slack", LATER) == [sent]
