"""Asking Sentry's HTTP API, hosted or one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from healthd.model.outcomes import ProbeError
from healthd.probes.base import ProbeContext
from healthd.probes.json_api import ApiParams, Reply, fetch, refusal

_PAGE, _PAGES_MAX = 100, 20
_NEXT = re.compile(r'rel="next";\s*results="true";\s*cursor="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue. `count` is its events, `users` who saw it, both over its whole life."""

    short_id: str
    title: str
    level: str
    count: int
    users: int


async def issues(
    server: ApiParams, organization: str, query: str, period: str, context: ProbeContext
) -> tuple[list[Issue], int]:
    """Issues of a search within a period (60m): the hundred most frequent, and how many. Raises ProbeError."""
    path = f"/api/0/organizations/{quote(organization, safe='')}/issues/"
    # project=-1: all projects one may see; the search itself names those that are wanted
    form = {
        "query": query,
        "limit": str(_PAGE),
        "project": "-1",
        "sort": "freq",
        "statsPeriod": period,
        "shortIdLookup": "0",
    }
    found: list[Issue] = []
    for _ in range(_PAGES_MAX):
        reply = await _ask(server, path, form, context, "event:read")
        try:
            found += [_issue(item) for item in reply.document]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ProbeError(f"{server.url} did not answer with a list of issues: is it Sentry?", "protocol") from None
        hits = reply.headers.get("X-Hits", "")
        further = _NEXT.search(reply.headers.get("Link", ""))
        if hits.isdigit():
            return found, int(hits)
        if further is None:
            return found, len(found)
        form["cursor"] = further[1]
    raise ProbeError(f"there are more than {_PAGE * _PAGES_MAX} issues: choose fewer by `query`", "limit")


async def events(server: ApiParams, organization: str, project: str, since: timedelta, context: ProbeContext) -> int:
    """Events a project received in the time before now. Raises ProbeError."""
    path = f"/api/0/projects/{quote(organization, safe='')}/{quote(project, safe='')}/stats/"
    end = int(context.now.timestamp())
    seconds = int(since.total_seconds())
    resolution = "10s" if seconds <= 3600 else "1h" if seconds <= 7 * 86400 else "1d"
    form = {"stat": "received", "since": str(end - seconds), "until": str(end), "resolution": resolution}
    reply = await _ask(server, path, form, context, "project:read")
    try:
        return sum(int(count) for _, count in reply.document)
    except (TypeError, ValueError):
        raise ProbeError(f"{server.url} did not answer with counts of events: is it Sentry?", "protocol") from None


def _issue(item: Mapping[str, Any]) -> Issue:
    return Issue(
        str(item.get("shortId") or item["id"]),
        str(item["title"]),
        str(item.get("level", "")),
        int(item["count"]),
        int(item.get("userCount") or 0),
    )


async def _ask(server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext, scope: str) -> Reply:
    reply = await fetch(server, path, dict(form), context)
    if reply.status == 200 and reply.document is not None:
        return reply
    said = reply.document.get("detail") if isinstance(reply.document, dict) else None
    words = server.redact(str(said))[:300] if said else ""
    if reply.status == 403:
        raise ProbeError(f"{server.url} refused access ({words or 'forbidden'}): the token needs {scope}", "forbidden")
    if reply.status == 404:
        raise ProbeError(f"{server.url}{path} is not there: is the name right, and may the token see it?", "config")
    if reply.status == 400:
        raise ProbeError(f"{server.url} refused the question: {words or 'bad request'}", "config")
    raise refusal(server, reply.status)
