"""The probes redis_info and redis_memory: what INFO says."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthd.model.units import Unit
from tests.component.looking import Looker, values
from tests.servers.redis import RedisServer


async def test_the_usual_fields(redis_server: RedisServer, info: Looker) -> None:
    seen = await info(url=redis_server.url)
    units = {m.name: m.unit for m in seen.measurements}
    assert (values(seen)["role"], values(seen)["rdb_last_bgsave_status"]) == ("master", "ok")
    assert (units["used_memory"], units["uptime_in_seconds"], units["role"]) == (Unit.BYTES, Unit.SECONDS, Unit.TEXT)
    assert seen.note == ""


async def test_chosen_fields_with_names_and_units(own: RedisServer, info: Looker) -> None:
    with own.client() as client:
        client.set("a", "1", ex=1000)
        client.get("a")
        client.get("a")
        client.get("a")
        client.get("b")
    fields = {
        "keys": "db0.keys",
        "empty": "db7.keys",
        "fork": "latest_fork_usec",
        "peak": "used_memory_peak_perc",
        "hits": "hit_ratio",
        "up": {"field": "uptime_in_days", "unit": "days"},
        "human": "used_memory_human",
    }
    seen = await info(url=own.url, fields=fields)
    measured = values(seen)
    assert (measured["keys"], measured["empty"], measured["hits"], measured["up"]) == (1, 0, 0.75, 0)
    assert 0 < float(measured["peak"]) <= 1.2
    assert str(measured["human"]).endswith("M") or str(measured["human"]).endswith("K")
    assert {m.name: m.unit for m in seen.measurements}["fork"] is Unit.SECONDS


@pytest.mark.probe("redis_info")
async def test_a_field_that_is_not_there(own: RedisServer, info: Looker) -> None:
    seen = await info(url=own.url, fields=["connected_client", "hit_ratio", "role"])
    assert values(seen) == {"role": "master"}
    assert "did you mean 'connected_clients'?" in seen.note
    assert "no look-ups yet" in seen.note


async def test_another_section(own: RedisServer, info: Looker) -> None:
    seen = await info(url=own.url, section="commandstats", fields={"pings": "cmdstat_ping.calls"})
    assert float(values(seen)["pings"]) >= 1


@pytest.mark.probe("redis_memory")
async def test_memory_against_its_limit(tmp_path: Path, memory: Looker) -> None:
    limit = ("--maxmemory", "3000000", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, args=limit) as server:
        with server.client() as client:
            for n in range(60):
                client.set(f"key:{n}", "x" * 100_000)
        measured = values(await memory(url=server.url))
    assert (measured["max_bytes"], measured["policy"]) == (3_000_000, "allkeys-lru")
    assert measured["ratio"] == pytest.approx(float(measured["used_bytes"]) / 3_000_000)
    assert float(measured["evicted_keys"]) > 0
    assert float(measured["peak_bytes"]) >= float(measured["used_bytes"]) > 1_000_000
    assert float(measured["fragmentation"]) > 0


async def test_memory_without_a_limit(redis_server: RedisServer, memory: Looker) -> None:
    system = values(await memory(url=redis_server.url))
    assert float(system["max_bytes"]) > 1e8
    assert 0 < float(system["ratio"]) < 0.5
    seen = await memory(url=redis_server.url, without_maxmemory="missing")
    assert not {"max_bytes", "ratio"} & values(seen).keys()
    assert "maxmemory is not set" in seen.note
