"""How many runs at once, per probe type and per check."""

from __future__ import annotations

import asyncio

import pytest

from healthd.schedule import Limits


async def test_a_type_has_its_own_limit_and_the_others_the_default_each() -> None:
    limits, release, peak = Limits(2, {"aws": 1}), asyncio.Event(), {"http": 0, "aws": 0, "tcp": 0}

    async def run(probe_type: str) -> None:
        async with limits.slot(probe_type):
            peak[probe_type] = max(peak[probe_type], limits.running(probe_type))
            await release.wait()

    async with asyncio.TaskGroup() as group:
        for probe_type in ("aws", "http", "tcp"):
            for _ in range(5):
                group.create_task(run(probe_type))
        await asyncio.sleep(0)
        assert {t: (limits.running(t), limits.waiting(t)) for t in peak} == {
            "aws": (1, 4),
            "http": (2, 3),
            "tcp": (2, 3),
        }
        release.set()
    assert peak == {"aws": 1, "http": 2, "tcp": 2}
    assert {t: (limits.running(t), limits.waiting(t)) for t in peak} == dict.fromkeys(peak, (0, 0))


async def test_a_hung_type_does_not_hold_up_another() -> None:
    limits = Limits(1)
    async with limits.slot("aws"):
        waiting = asyncio.create_task(limits.slot("aws").__aenter__())
        await asyncio.sleep(0)
        async with asyncio.timeout(20), limits.slot("http"):
            assert limits.running("http") == 1
        assert not waiting.done()
        waiting.cancel()


async def test_a_free_slot_is_taken_without_a_task_switch() -> None:
    limits, switched = Limits(1), []
    asyncio.get_running_loop().call_soon(switched.append, True)
    async with limits.slot("http"):
        assert not switched


async def test_cancelled_waiters_and_failed_runs_give_their_slot_back() -> None:
    limits = Limits(1)

    async def fail() -> None:
        async with limits.slot("http"):
            waiter = asyncio.create_task(_hold(limits))
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.wait([waiter])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await fail()
    assert (limits.running("http"), limits.waiting("http")) == (0, 0)
    async with asyncio.timeout(20), limits.slot("http"):
        assert limits.running("http") == 1


async def _hold(limits: Limits) -> None:
    async with limits.slot("http"):
        await asyncio.Event().wait()


async def test_waiting_runs_take_their_turn_in_order() -> None:
    limits, turns = Limits(1), []

    async def run(number: int) -> None:
        async with limits.slot("http"):
            turns.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(run(number) for number in range(6)))
    assert turns == list(range(6))


@pytest.mark.parametrize("limits", [(0, {}), (5, {"http": 0})])
def test_a_limit_that_would_stop_everything_is_refused(limits: tuple[int, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(*limits)


async def test_targets_that_hang_leave_slots_to_those_that_answer() -> None:
    limits, hanging = Limits(4), asyncio.Event()

    async def hang() -> None:
        async with limits.slot("http", slow=True):
            await hanging.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(hang())
        await asyncio.sleep(0)
        assert (limits.running("http"), limits.waiting("http")) == (2, 18)
        async with asyncio.timeout(20), limits.slot("http"), limits.slot("http"):
            assert limits.running("http") == 4
        hanging.set()
    assert (limits.running("http"), limits.waiting("http")) == (0, 0)


async def test_a_single_slot_is_everybodys() -> None:
    limits = Limits(1)
    async with limits.slot("http", slow=True):
        assert limits.running("http") == 1
