"""The probe http: answers that are not as expected, and their parameters."""

from __future__ import annotations

import asyncio

import pytest

from healthd.probes.base import ProbeError
from tests.component.looking import Looker, evidence, values
from tests.servers import odd
from tests.servers.nginx import NginxServer


async def take_turns(turns: list[float]) -> None:
    while True:
        await asyncio.sleep(0.01)
        turns.append(asyncio.get_running_loop().time())


async def test_wrong_status_shows_the_answer_without_its_secrets(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/broken")
    assert (values(seen)["up"], values(seen)["status"]) == (0, 503)
    assert seen.note == "status 503, expected 2xx"
    assert evidence(seen, "response").startswith("503")
    assert '"status":"failing"' in evidence(seen, "body")
    assert "hunter2" not in evidence(seen, "body")


async def test_several_disappointments_are_all_named(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/health",
        status=[201, "300-399"],
        expect_headers={"X-Version": "1"},
        expect_json={"$.checks.database": "!= connected", "$.missing": "= 1"},
    )
    assert seen.note == (
        "status 200, expected 201 or 3xx; no X-Version header;"
        ' $.checks.database is "connected", expected != connected; no $.missing in the body'
    )


async def test_body_patterns(nginx: NginxServer, look: Looker) -> None:
    good = await look(url=nginx.url, body_pattern="hel+o", body_not_pattern="error")
    bad = await look(url=nginx.url, body_not_pattern="hel+o")
    assert (values(good)["body_match"], values(good)["up"]) == (1, 1)
    assert (values(bad)["body_match"], values(bad)["up"]) == (0, 0)
    assert bad.note == "the body holds \"hello\", which 'hel+o' forbids"


async def test_a_body_made_for_a_pattern_holds_up_nobody(look: Looker) -> None:
    """`re` cannot be stopped: it is looked for where it can, and everything else goes on."""
    turns: list[float] = []
    counting = asyncio.create_task(take_turns(turns))
    async with odd.serving(odd.answers(b"a" * 100 + b"!")) as server:
        with pytest.raises(ProbeError, match=r"looking for '\(a\+\)\+\$' took more than"):
            await look(url=server.url, body_pattern="(a+)+$")
    counting.cancel()
    assert len(turns) > 20


async def test_missing_values_are_absent_never_zero(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/health", extract={"lag": "$.replication.lag", "checks": "$.checks"})
    assert values(seen)["up"] == 1
    assert not {"lag", "checks"} & values(seen).keys()
    assert seen.note == "no $.replication.lag in the body; $.checks is an object"


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"<html>", "the body is not JSON"),
        (b"", "the body is empty, expected JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
    ],
)
async def test_body_that_is_not_json(look: Looker, body: bytes, note: str) -> None:
    async with odd.serving(odd.answers(body)) as server:
        seen = await look(url=server.url, extract={"a": "$.a"})
    assert (values(seen)["up"], seen.note) == (0, note)


@pytest.mark.parametrize("number", [b"1e999", b"NaN", b"1" + b"0" * 400, b"null"])
async def test_numbers_that_are_none(look: Looker, number: bytes) -> None:
    async with odd.serving(odd.answers(b'{"a":' + number + b"}")) as server:
        seen = await look(url=server.url, extract={"a": "$.a"})
    assert "a" not in values(seen)
    assert seen.note.startswith("$.a is n")
