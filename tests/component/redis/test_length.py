"""The probe redis_length: how much is under a key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.servers.redis import RedisServer


async def test_every_type_is_counted(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("t:list", "t:set", "t:zset", "t:hash", "t:stream")
        client.rpush("t:list", *"abc")
        client.sadd("t:set", *"abcd")
        client.zadd("t:zset", {"a": 1, "b": 2})
        client.hset("t:hash", mapping={"a": "1"})
        for n in range(5):
            client.xadd("t:stream", {"n": n})
    for key, expected in (("list", 3), ("set", 4), ("zset", 2), ("hash", 1), ("stream", 5)):
        assert values(await length(url=redis_server.url, key=f"t:{key}")) == {"length": expected, "exists": 1}


async def test_several_keys_are_series(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("q:high", "q:low")
        client.rpush("q:high", *"ab")
    listed = await length(url=redis_server.url, keys=["q:high", "q:low"])
    assert values(listed) == {
        "length{q:high}": 2, "exists{q:high}": 1, "length{q:low}": 0, "exists{q:low}": 0, "total": 2,
    }  # fmt: skip
    named = await length(url=redis_server.url, keys={"high": "q:high"})
    assert values(named) == {"length{high}": 2, "exists{high}": 1, "total": 2}


async def test_a_key_that_is_not_there(redis_server: RedisServer, length: Looker) -> None:
    assert values(await length(url=redis_server.url, key="nowhere")) == {"length": 0, "exists": 0}
    with pytest.raises(ProbeError, match="no key 'nowhere'") as caught:
        await length(url=redis_server.url, key="nowhere", missing_key="unknown")
    assert caught.value.kind == "missing"


async def test_a_string_has_no_length(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.set("t:string", "word")
    with pytest.raises(ProbeError, match="'t:string' is a string, which has no length"):
        await length(url=redis_server.url, key="t:string")


async def test_what_a_consumer_group_has_not_acknowledged(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("t:jobs", "t:list2")
        for n in range(4):
            client.xadd("t:jobs", {"n": n})
        client.xgroup_create("t:jobs", "workers", "0")
        client.xreadgroup("workers", "one", {"t:jobs": ">"}, count=3)
        client.rpush("t:list2", "a")
    seen = values(await length(url=redis_server.url, key="t:jobs", group="workers"))
    assert seen == {"length": 4, "exists": 1, "pending": 3}
    with pytest.raises(ProbeError, match="no such consumer group") as caught:
        await length(url=redis_server.url, key="t:jobs", group="workerz")
    assert caught.value.kind == "missing"
    with pytest.raises(ProbeError, match="only a stream has consumer groups"):
        await length(url=redis_server.url, key="t:list2", group="workers")


async def test_key_or_keys(length: Looker) -> None:
    for wrong in ({}, {"key": "a", "keys": ["b"]}, {"keys": []}):
        with pytest.raises(ValidationError, match="either key"):
            await length(url="redis://cache", **wrong)
