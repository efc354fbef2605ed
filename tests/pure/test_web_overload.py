"""Who has to wait, who is told to come again, and what is said to many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from healthd.web.lanes import Budget, BusyError, Lane, metered
from healthd.web.sharing import MANY, PIECE, SharedAnswers

BODY = b"x" * (2 * PIECE + 1)


async def hold(lane: Lane, address: str, entered: asyncio.Event, leave: asyncio.Event) -> None:
    async with lane.turn(address):
        entered.set()
        await leave.wait()


async def test_so_many_at_once_and_half_of_them_of_one_address() -> None:
    lane, leave = Lane(2, 3, 0.05, Budget(1.0)), asyncio.Event()
    first, other = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(lane, "a", first, leave))
        await first.wait()
        with pytest.raises(BusyError) as busy:  # half of the lane is theirs already
            async with lane.turn("a"):
                raise AssertionError
        assert (busy.value.status, busy.value.headers) == (503, {"Retry-After": "2"})
        group.create_task(hold(lane, "b", other, leave))
        await other.wait()
        with pytest.raises(BusyError):
            async with lane.turn("c"):
                raise AssertionError
        leave.set()
    async with lane.turn("a"), lane.turn("b"):
        pass  # it is free again


async def test_only_so_many_wait() -> None:
    lane, leave, entered = Lane(2, 1, 60, Budget(1.0)), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hold(lane, "a", entered, leave)) for _ in range(3)]  # one of them is answered
        await entered.wait()
        with pytest.raises(BusyError):
            async with lane.turn("b"):
                raise AssertionError
        leave.set()
    assert all(task.done() for task in tasks)


def test_a_budget_is_a_share_of_the_time() -> None:
    at = 100.0
    budget = Budget(0.5, most=1.0, clock=lambda: at)
    budget.spend(1.0)
    assert budget.wait() == 0
    budget.spend(2.0)
    assert budget.wait() == 4
    at += 3
    assert budget.wait() == 1
    at += 1000
    budget.spend(1.5)  # of all that was not used a second is left
    assert budget.wait() == 1


async def test_work_costs_what_it_computes_and_not_what_it_waits() -> None:
    spent: list[float] = []
    came, caught = asyncio.Event(), []

    async def work() -> None:
        try:
            await asyncio.wait_for(came.wait(), 0.01)
        except TimeoutError as error:
            caught.append(error)
        while sum(spent) == 0:
            await asyncio.sleep(0)
        await came.wait()
        raise LookupError

    asyncio.get_running_loop().call_later(0.1, came.set)
    began = time.monotonic()
    with pytest.raises(LookupError):
        await metered(work(), spent.append)
    assert caught  # what is thrown into it arrives
    assert 0 < sum(spent) < time.monotonic() - began


async def test_who_comes_to_a_lane_without_budget_is_sent_away() -> None:
    lane = Lane(2, 3, 0.01, Budget(0.001))
    lane.budget.spend(5.0)
    with pytest.raises(BusyError):
        async with lane.turn("a"):
            raise AssertionError


class Application:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-number", b"%d" % self.asked)]})
        await send({"type": "http.response.body", "body": BODY})


async def ask(app: SharedAnswers, method: str = "GET") -> tuple[int, bytes]:
    """(number of the answer, its body)."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "path": "/metrics", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert all(len(message["body"]) <= PIECE for message in sent[1:])
    assert [message["more_body"] for message in sent[1:]] == [True, True, False] or method != "GET"
    return int(sent[0]["headers"][0][1]), b"".join(message["body"] for message in sent[1:])


async def test_few_get_an_answer_of_their_own() -> None:
    app = SharedAnswers(inner := Application())
    for number in range(1, MANY):
        assert await ask(app) == (number, BODY)
    assert inner.asked == MANY - 1


async def test_whoever_changed_something_sees_it() -> None:
    app = SharedAnswers(Application())
    newest = 0
    for _ in range(10 * MANY):
        newest = (await ask(app))[0]
    changed = await ask_to_change(app)
    assert (await ask(app))[0] > changed >= newest


async def ask_to_change(app: SharedAnswers) -> int:
    async def send(message: MutableMapping[str, Any]) -> None:
        numbers.extend(int(value) for name, value in message.get("headers", ()) if name == b"x-number")

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    numbers: list[int] = []
    await app({"type": "http", "method": "POST", "path": "/-/reload", "headers": []}, receive, send)
    return numbers[0]


async def test_what_fails_is_told_to_everybody_for_themselves() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    app = SharedAnswers(broken)
    for _ in range(2 * MANY):
        with pytest.raises(ValueError):  # noqa: PT011 - of the application
            await ask(app)
