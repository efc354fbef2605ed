"""The probes redis_keys and redis_big_keys: counting and measuring within a budget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes.redis import RedisBigKeysProbe, RedisKeysProbe
from healthd.probes.redis.shown import shown_command
from tests.component.looking import Looker, evidence, values
from tests.component.redis.test_persistence import MakeLooker
from tests.servers.redis import RedisServer


@pytest.fixture
def keys(looker: MakeLooker) -> Looker:
    return looker(RedisKeysProbe())


@pytest.fixture
def big_keys(looker: MakeLooker) -> Looker:
    return looker(RedisBigKeysProbe())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Sessions, a few carts, a large list and a key that is no text."""
    with RedisServer(tmp_path_factory.mktemp("filled"), password="word") as server:
        with server.client() as admin, admin.pipeline() as pipe:
            for n in range(3000):
                pipe.set(f"session:{n}", "x" * 20, ex=1000 if n % 3 else None)
            for n in range(5):
                pipe.hset(f"cart:{n}", mapping={"a": "1", "b": "2"})
            pipe.rpush("queue", *(["x" * 100] * 5000))
            pipe.set(b"\xff\xfe\nbinary", "y" * 300_000)
            pipe.execute()
        yield server


@pytest.mark.probe("redis_keys")
async def test_keys_by_pattern(filled: RedisServer, keys: Looker) -> None:
    seen = await keys(url=filled.url, patterns={"sessions": "session:*", "carts": "cart:[0-3]", "none": "x*"})
    assert values(seen) == {
        **{"keys{sessions}": 3000, "keys{carts}": 4, "keys{none}": 0},
        **{"keys_estimate{sessions}": 3000, "keys_estimate{carts}": 4, "keys_estimate{none}": 0},
        **{"total": 3007, "coverage": 1, "complete": 1},
    }
    assert seen.note == ""
    assert values(await keys(url=filled.url, patterns="*"))["keys"] == 3007


async def test_keys_that_never_expire(filled: RedisServer, keys: Looker) -> None:
    measured = values(await keys(url=filled.url, patterns=["session:*", "cart:*"], ttl=True))
    assert (measured["without_ttl{session:*}"], measured["without_ttl{cart:*}"]) == (1000, 5)


async def test_a_budget_that_is_spent(filled: RedisServer, keys: Looker, big_keys: Looker) -> None:
    seen = await keys(url=filled.url, patterns="session:*", max_keys=1500)
    measured = values(seen)
    assert measured["complete"] == 0
    assert measured["coverage"] == pytest.approx(1500 / 3007)
    assert 1000 < float(measured["keys"]) < 2000
    assert float(measured["keys_estimate"]) == pytest.approx(3000, rel=0.2)
    assert "looked at 50% of 3007 keys" in seen.note
    measured = values(await keys(url=filled.url, patterns="session:*", budget="0s"))
    assert 0 < float(measured["coverage"]) < 1  # one step there always is
    measured = values(await big_keys(url=filled.url, max_keys=100))
    assert measured["complete"] == 0
    assert 90 <= float(measured["scanned"]) < 200


@pytest.mark.probe("redis_big_keys")
async def test_the_largest_keys(filled: RedisServer, big_keys: Looker) -> None:
    seen = await big_keys(url=filled.url, big="200kB", long=5000)
    measured = values(seen)
    assert (measured["scanned"], measured["complete"]) == (3007, 1)
    assert (measured["big_keys"], measured["long_keys"], measured["longest"]) == (2, 1, 5000)
    assert 500_000 < float(measured["largest_bytes"]) < 700_000
    assert float(measured["scanned_bytes"]) > 900_000
    lines = evidence(seen, "largest keys").splitlines()
    assert len(lines) == 10
    assert lines[0].endswith("list, 5000 elements  queue")
    assert lines[1].endswith(r"string  \xff\xfe\x0abinary")
    measured = values(await big_keys(url=filled.url, pattern="cart:*", show=0))
    assert (measured["scanned"], measured["longest"], measured["big_keys"]) == (5, 2, 0)


async def test_an_empty_database(filled: RedisServer, keys: Looker, big_keys: Looker) -> None:
    url = filled.url[:-1] + "9"
    seen = await big_keys(url=url)
    assert (values(seen)["largest_bytes"], values(seen)["coverage"], seen.evidence) == (0, 1, ())
    measured = values(await keys(url=url, patterns="*"))
    assert (measured["keys"], measured["total"], measured["complete"]) == (0, 0, 1)


@pytest.mark.probe_failure("redis_big_keys")
async def test_a_user_who_may_not_ask(own: RedisServer, keys: Looker, big_keys: Looker) -> None:
    with own.client() as admin:
        admin.set("a", "1")
        admin.execute_command(
            "ACL", "SETUSER", "watcher", "on", ">word", "~*", "+ping", "+select", "+dbsize", "+scan", "+type"
        )
    url = own.url.replace(":open-sesame", "watcher:word")
    assert values(await keys(url=url, patterns="*"))["keys"] == 1
    with pytest.raises(ProbeError, match=r"memory\|usage") as caught:
        await big_keys(url=url)
    assert caught.value.kind == "forbidden"


async def test_only_reading_commands_are_sent(own: RedisServer, keys: Looker, big_keys: Looker) -> None:
    with own.client() as admin:
        for kind, made in (("list", admin.rpush), ("set", admin.sadd)):
            made(kind, "a")
        admin.config_resetstat()
        await keys(url=own.url, patterns="*", ttl=True)
        await big_keys(url=own.url)
        sent = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    assert "keys" not in sent
    reading = {"ping", "dbsize", "scan", "type", "pttl", "memory|usage", "llen", "scard"}
    assert sent - reading <= {"auth", "select", "config|resetstat", "config", "memory"}


@pytest.mark.parametrize("patterns", [[], {}, 7])
async def test_patterns_there_must_be(keys: Looker, patterns: object) -> None:
    with pytest.raises(ValidationError):
        await keys(url="redis://localhost", patterns=patterns)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["set", "user:1", "secret"], "SET (2 arguments)"),
        (["config", "set", "requirepass", "secret"], "CONFIG SET (2 arguments)"),
        (["ACL", "SETUSER", "app", ">secret"], "ACL SETUSER (2 arguments)"),
        (["AUTH", "secret"], "AUTH (1 argument)"),
        (["flushall"], "FLUSHALL"),
        (["DEL", *["k"] * 30, "... (70 more arguments)"], "DEL (100 arguments)"),
        (["no command\n", "x"], "? (1 argument)"),
    ],
)
def test_commands_are_shown_without_their_arguments(words: list[str], shown: str) -> None:
    assert shown_command(words, show_key=False) == shown
