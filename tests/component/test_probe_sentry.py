"""The sentry probe against a server that answers as the reference of Sentry's API says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, evidence, looking, values
from tests.servers.process import free_port
from tests.servers.web import Handler, web_server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "sntrys_0123456789abcdef"


def issue(number: int, title: str, count: int) -> dict[str, Any]:
    return {
        "id": str(number), "shortId": f"API-{number}", "title": title, "culprit": "views.save", "level": "error",
        "status": "unresolved", "count": str(count), "userCount": count // 2, "firstSeen": "2026-11-21T08:00:00Z",
        "lastSeen": "2026-11-21T11:00:00Z", "project": {"id": "2", "slug": "api", "name": "API"},
        "permalink": "https://sentry.io/x", "type": "error", "stats": {"24h": [[1, 2]]},
    }  # fmt: skip


class Sentry:
    """Issues by project, paged; `hits` says whether it counts them in a header."""

    def __init__(self) -> None:
        self.seen: dict[str, list[dict[str, Any]]] = {"api": [], "web": []}
        self.fresh: dict[str, list[dict[str, Any]]] = {"api": [], "web": []}
        self.events = {"api": [[1763700000, 40], [1763703600, 2]], "web": [[1763700000, 0]]}
        self.hits = True
        self.answer: tuple[int, Any] | None = None
        self.asked: list[dict[str, str]] = []

    def handlers(self) -> dict[str, Handler]:
        return {
            "GET /api/0/organizations/acme/issues/": self.issues,
            "GET /api/0/projects/acme/{project}/stats/": self.stats,
        }

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.asked.append({"path": request.path, **request.query})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"detail": "Invalid token"}, status=401)
        return web.json_response(self.answer[1], status=self.answer[0]) if self.answer else None

    async def issues(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        query = request.query["query"]
        project = query.split("project:")[1].split()[0]
        found = (self.fresh if "firstSeen:" in query else self.seen)[project]
        start = int(request.query.get("cursor", "0:0:0").split(":")[1])
        end = start + int(request.query["limit"])
        link = (
            f'<http://x/?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
            f'<http://x/?cursor=0:{end}:0>; rel="next"; results="{str(end < len(found)).lower()}"; cursor="0:{end}:0"'
        )
        headers = {"Link": link} | ({"X-Hits": str(len(found)), "X-Max-Hits": "1000"} if self.hits else {})
        return web.json_response(found[start:end], headers=headers)

    async def stats(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.json_response(self.events[request.match_info["project"]])


@pytest.fixture
async def sentry() -> AsyncIterator[tuple[Sentry, dict[str, Any]]]:
    """The server, and the parameters to ask it with."""
    server = Sentry()
    async with web_server(server.handlers()) as url:
        yield server, {"url": url, "token": TOKEN, "organization": "acme", "projects": ["api", "web"]}


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["sentry"]) as looker:
        looker.now = NOW
        yield looker


@pytest.mark.probe("sentry")
async def test_issues_and_events_by_project(sentry: tuple[Sentry, dict[str, Any]], look: Looker) -> None:
    server, ask = sentry
    server.seen["api"] = [issue(1, "ValueError: bad", 5), issue(2, "TimeoutError", 900), issue(3, "old", 7)]
    server.fresh["api"] = [issue(1, "ValueError: bad", 5), issue(2, f"TimeoutError token={TOKEN}", 900)]
    seen = await look(**ask, since="2h")
    assert values(seen) == {
        "issues": 3, "issues{api}": 3, "issues{web}": 0, "new_issues": 2, "new_issues{api}": 2, "new_issues{web}": 0,
        "events": 42, "events{api}": 42, "events{web}": 0,
    }  # fmt: skip
    assert seen.note == "2 new, the most frequent: TimeoutError token=<redacted>"
    assert evidence(seen, "new issues").splitlines()[1] == "API-1 error 5 times, 2 users: ValueError: bad"
    assert TOKEN not in repr(seen)
    queries = {asked["query"] for asked in server.asked if "query" in asked}
    assert "is:unresolved project:api lastSeen:-120m" in queries
    stats = next(asked for asked in server.asked if asked["path"].endswith("/stats/"))
    assert int(stats["until"]) - int(stats["since"]) == 7200
    assert stats["resolution"] == "1h"


async def test_pages_are_counted_where_the_server_does_not(sentry: tuple[Sentry, dict[str, Any]], look: Looker) -> None:
    server, ask = sentry
    server.seen["api"] = [issue(n, "x", 1) for n in range(250)]
    for hits in (True, False):
        server.hits = hits
        look.shared.clear()
        assert values(await look(**ask))["issues"] == 250


async def test_nothing_wrong(sentry: tuple[Sentry, dict[str, Any]], look: Looker) -> None:
    seen = await look(**sentry[1])
    assert (values(seen)["issues"], seen.note, seen.evidence) == (0, "", ())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((403, {"detail": "You do not have permission to perform this action."}), "forbidden", "the token needs"),
        ((404, {"detail": "The requested resource does not exist"}), "config", "is the name right"),
        ((400, {"detail": "Invalid query"}), "config", "Invalid query"),
        ((429, {"detail": "slow down"}), "limit", "too often"),
        ((200, {"detail": "odd"}), "protocol", "is it Sentry"),
        ((503, None), "protocol", "status 503"),
    ],
)
async def test_refusals(
    sentry: tuple[Sentry, dict[str, Any]], look: Looker, answer: Any, kind: str, words: str
) -> None:
    sentry[0].answer = answer
    with pytest.raises(ProbeError, match=words) as failure:
        await look(**sentry[1])
    assert failure.value.kind == kind


@pytest.mark.probe_failure("sentry")
async def test_a_wrong_token_and_no_server(sentry: tuple[Sentry, dict[str, Any]], look: Looker) -> None:
    with pytest.raises(ProbeError, match="refused access") as failure:
        await look(**{**sentry[1], "token": "wrong"})
    assert failure.value.kind == "auth"
    with pytest.raises(ProbeError, match="connection refused"):
        await look(**{**sentry[1], "url": f"http://127.0.0.1:{free_port()}"})


@pytest.mark.parametrize("params", [{"since": "10s"}, {"since": "91d"}, {"projects": []}, {"url": "sentry.io"}])
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["sentry"].Params(**{"token": TOKEN, "organization": "acme", "projects": "api", **params})
