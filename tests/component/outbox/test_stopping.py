"""The end of an outbox and what the next one goes on with."""

from __future__ import annotations

import asyncio

from tests.component.outbox.desk import Desk, ids, message, spec
from tests.servers.receiver import Receiver


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
        desk.outbox.reconfigure({"team": spec(stuck.url, timeout="60s")})
        desk.outbox.start()
        await desk.tell(message())
        await stuck.expect(1)
        async with asyncio.timeout(20):
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
