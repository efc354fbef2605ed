"""Signing for a task through a page or the API: checked, done, refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from healthd.model.attestations import AttestationError, Request
from healthd.web.desk import Desk
from healthd.web.nearest import nearest
from healthd.web.pages.incidents import clean_note
from healthd.web.problem import RequestError
from healthd.web.quiet import reason_of

MAX_LINK = 500


async def find(desk: Desk, name: str) -> Request:
    """By its id, or the name of what is asked for. Raises RequestError 404, 409."""
    return await _or_refuse(desk, name, desk.daemon.attestations.find(name))


async def give(desk: Desk, name: str, by: str, note: str, link: str) -> Request:
    """Sign for it. Raises RequestError 400, 404, 409."""
    desk.require_ready()
    link = link.strip()
    if link and not re.match(r"https?://[^/\s]+\S*$", link):
        raise RequestError(400, "link: not a web address", "expected https://...")
    work = desk.daemon.attestations.give(name, by, clean_note(note), link[:MAX_LINK])
    return await _or_refuse(desk, name, desk.change(work))


async def take_back(desk: Desk, name: str, by: str, reason: str) -> Request:
    """Withdraw a signature. Raises RequestError 404, 409."""
    desk.require_ready()
    return await _or_refuse(desk, name, desk.change(desk.daemon.attestations.take_back(name, by, reason_of(reason))))


async def _or_refuse(desk: Desk, name: str, work: Awaitable[Request]) -> Request:
    try:
        return await work
    except KeyError:
        hint = nearest(name, desk.daemon.attestations.tasks) or "what is asked for is listed at /attestations"
        raise RequestError(404, f"no attestation {name[:80]!r}", hint) from None
    except AttestationError as error:
        raise RequestError(409, error.reason, error.hint) from None
