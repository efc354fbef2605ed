"""Who leads the replicas of one database, and that nobody else writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from healthd.store import SqlStore
from healthd.store.base import Commit, StoreError
from tests.component.store.examples import outcome
from tests.servers.cable import Cable
from tests.servers.postgres import PostgresServer

LONG, LASTS, SHORT = timedelta(minutes=1), timedelta(seconds=1), timedelta(milliseconds=200)


@asynccontextmanager
async def replicas(url: str, count: int) -> AsyncIterator[list[SqlStore]]:
    stores = [SqlStore(url, exclusive=True) for _ in range(count)]
    for store in stores:
        await store.open()
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


async def test_one_leads_and_the_others_know_who(postgres: PostgresServer) -> None:
    async with replicas(postgres.create_database(), 3) as stores:
        found = await asyncio.gather(*(s.lead(f"r{n}", f"http://r{n}", LONG) for n, s in enumerate(stores)))
        (leader,) = {lead.holder for lead in found}
        assert {lead.address for lead in found} == {f"http://{leader}"}
        assert [lead.mine for lead in found].count(True) == 1
        assert {lead.epoch for lead in found} == {1}


async def test_who_keeps_it_in_time_keeps_it_and_its_epoch(postgres: PostgresServer) -> None:
    async with replicas(postgres.create_database(), 2) as (first, second):
        for _ in range(3):
            assert (await first.lead("a", "", LONG)).mine
            found = await second.lead("b", "", LONG)
            assert (found.mine, found.holder, found.epoch) == (False, "a", 1)


async def test_a_lead_that_ran_out_is_taken_and_what_the_old_leader_writes_is_refused(postgres: PostgresServer) -> None:
    async with replicas(postgres.create_database(), 2) as (old, new):
        assert (await old.lead("old", "", SHORT)).mine
        await old.commit(Commit((outcome("shop/before"),)))
        async with asyncio.timeout(5):
            while not (found := await new.lead("new", "", LONG)).mine:
                await asyncio.sleep(0.02)
        assert found.epoch == 2
        with pytest.raises(StoreError, match="another replica of healthd leads"):
            await old.commit(Commit((outcome("shop/late"),)))
        with pytest.raises(StoreError, match="another replica"):
            await old.forget(["shop/before"])
        await new.commit(Commit((outcome("shop/after"),)))
        assert sorted(await new.latest()) == ["shop/after", "shop/before"]
        assert not (await old.lead("old", "", LONG)).mine


@pytest.mark.parametrize("sent", [300, 750, 1200])  # some of these are in the middle of a transaction
async def test_a_leader_cut_off_wherever_in_its_messages_is_followed_when_its_time_is_over(
    postgres: PostgresServer, sent: int
) -> None:
    url = postgres.create_database()
    with Cable(postgres.port) as cable:
        old = SqlStore(url.replace(f":{postgres.port}/", f":{cable.port}/"))
        new = SqlStore(url)
        await asyncio.gather(old.open(), new.open())
        assert (await old.lead("old", "", LASTS)).mine
        cable.cut_after(sent)
        writing = [asyncio.ensure_future(old.commit(Commit((outcome("shop/web"),)))) for _ in range(20)]
        await asyncio.to_thread(cable.wait_until_cut, 10)
        async with asyncio.timeout(LASTS.total_seconds() + 1.5):
            while not await took(new):
                await asyncio.sleep(0.02)
        await new.commit(Commit((outcome("shop/web"),)))
        cable.mend()
        await asyncio.gather(*writing, return_exceptions=True)
        await asyncio.gather(old.close(), new.close())


async def took(store: SqlStore) -> bool:
    try:
        return (await store.lead("new", "", LASTS)).mine
    except StoreError as error:
        assert error.transient  # noqa: PT017 it waits for what the old one holds
        return False


async def test_the_same_holder_may_take_up_a_lead_that_ran_out(postgres: PostgresServer) -> None:
    async with replicas(postgres.create_database(), 1) as (only,):
        assert (await only.lead("a", "", SHORT)).mine
        await asyncio.sleep(SHORT.total_seconds() * 1.5)  # nobody else wanted it
        await only.commit(Commit((outcome("shop/web"),)))
        assert (await only.lead("a", "", SHORT)).epoch == 1


async def test_who_resigns_is_followed_at_once(postgres: PostgresServer) -> None:
    async with replicas(postgres.create_database(), 2) as (first, second):
        await first.lead("a", "", LONG)
        await second.resign("b")  # not its to give up
        assert not (await second.lead("b", "", LONG)).mine
        await first.resign("a")
        assert (await second.lead("b", "", LONG)).epoch == 2


async def test_a_transaction_under_way_holds_the_lead_until_it_ends(postgres: PostgresServer) -> None:
    """Nothing of an old leader is committed after a new one began."""
    async with replicas(postgres.create_database(), 2) as (old, new):
        await old.lead("old", "", SHORT)
        many = [asyncio.create_task(old.commit(Commit((outcome(f"shop/{n}"),)))) for n in range(200)]
        won = asyncio.create_task(_win(new))
        done = await asyncio.gather(*many, return_exceptions=True)
        await won
        written = set(await new.latest())
        for number, result in enumerate(done):
            assert (f"shop/{number}" in written) == (result is None)


async def test_a_file_has_one_daemon_and_that_one_leads(tmp_path: object) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db", exclusive=True)
    await store.open()
    lead = await store.lead("a", "http://a", LONG)
    assert (lead.mine, lead.epoch) == (True, 1)
    await store.commit(Commit((outcome("shop/web"),)))
    await store.resign("a")
    await store.close()


async def _win(store: SqlStore) -> None:
    async with asyncio.timeout(10):
        while not (await store.lead("new", "", LONG)).mine:
            await asyncio.sleep(0.01)
