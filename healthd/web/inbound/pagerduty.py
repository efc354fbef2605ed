"""PagerDuty's webhooks v3: what people do there with an incident is done here too, in their name.

https://developer.pagerduty.com/docs/webhooks-overview. Every event has an id, and is acted upon once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from healthd.web.desk import Desk, desk_of
from healthd.web.inbound.once import is_known, keep, recall
from healthd.web.inbound.signatures import is_pagerdutys
from healthd.web.problem import RequestError
from healthd.web.security import actor_name

SERVICE, INCIDENT = "pagerduty", "pagerduty-incident"
OLDEST = timedelta(days=3)  # PagerDuty tries for two; what is older is somebody's recording
MAX_NOTE = 1_000
_OURS = re.compile(r"INC-\d{8}-\d{6}-[0-9a-z]{1,40}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")

log = structlog.get_logger("healthd.inbound")


@dataclass(frozen=True, slots=True)
class Event:
    """One event about an incident. `theirs` is PagerDuty's id of it, `ours` the one it has here, "" where the event
    does not say."""

    id: str
    kind: str
    at: datetime
    who: str
    is_person: bool  # or an integration, such as healthd's own
    theirs: str
    ours: str
    text: str = ""


async def receive(request: Request) -> Response:
    """`POST /hooks/pagerduty`. 401 for a wrong signature; 200 for everything else, or PagerDuty would try it again."""
    desk = desk_of(request)
    secrets = _secrets(desk)
    if not secrets:
        raise RequestError(404, "webhooks of PagerDuty are not taken", "set HEALTHD_PAGERDUTY_WEBHOOK_SECRETS")
    body = await request.body()
    if not is_pagerdutys(secrets, request.headers.get("x-pagerduty-signature", ""), body):
        log.warning("webhook_refused", service=SERVICE, reason="its signature is wrong")
        raise RequestError(401, "the signature is wrong", "HEALTHD_PAGERDUTY_WEBHOOK_SECRETS is not this webhook's")
    event = parse(body)
    if event is None:
        return _answer("nothing to do")
    desk.require_ready()
    async with desk.hooks:
        return _answer(await _take(desk, event))


async def _take(desk: Desk, event: Event) -> str:
    """What came of it."""
    if desk.now() - event.at > OLDEST:
        return "too old"
    if await is_known(desk, SERVICE, event.id):
        return "known"
    ours = event.ours or str((await recall(desk, INCIDENT, event.theirs) or {}).get("incident", ""))
    if not ours:
        return "not an incident of healthd"
    if event.ours and event.theirs:
        await keep(desk, INCIDENT, event.theirs, {"incident": ours})
    try:
        done = await _act(desk, event, ours)
    except KeyError:
        done = "no such incident, or it is over"
    await keep(desk, SERVICE, event.id, {"incident": ours})
    log.info("webhook_taken", service=SERVICE, kind=event.kind, incident=ours, actor=event.who, done=done)
    return done


async def _act(desk: Desk, event: Event, incident: str) -> str:
    """Raises KeyError for an incident nobody knows or, where it has to be, that is not open."""
    actor = actor_name(event.who, "somebody") + " (PagerDuty)"
    daemon = desk.daemon
    match event.kind:
        case "acknowledged":
            by = daemon.incidents[incident].acknowledged_by
            if by == actor or (by and not event.is_person):  # PagerDuty repeats what healthd told it
                return "known"
            await desk.change(daemon.acknowledge(incident, actor))
        case "unacknowledged":
            await desk.change(daemon.unacknowledge(incident, actor))
        case "resolved":
            known = daemon.incidents.get(incident)
            still = "resolved in PagerDuty; the check still fails" if known else "resolved in PagerDuty"
            await desk.change(daemon.remark(incident, actor, still, event.at))
        case "escalated" | "annotated" | "reassigned":
            word = {"annotated": "note"}.get(event.kind, event.kind)
            text = f"{word} in PagerDuty" + (f": {event.text}" if event.text else "")
            await desk.change(daemon.remark(incident, actor, text, event.at))
        case _:
            return "nothing to do"
    return "done"


def parse(body: bytes) -> Event | None:
    """The event of a webhook's body; None for one that is about no incident, such as a ping. Raises RequestError."""
    try:
        event = json.loads(body)["event"]
        kind = str(event["event_type"])
        if not kind.startswith("incident."):
            return None
        data, agent = event["data"], event.get("agent") or {}
        of = data.get("incident") or data  # a note names the incident it is about
        at = datetime.fromisoformat(str(event["occurred_at"]))
        found = Event(
            id=_id(event["id"]),
            kind=kind.removeprefix("incident."),
            at=at if at.tzinfo else at.replace(tzinfo=UTC),
            who=str(agent.get("summary") or ""),
            is_person=str(agent.get("type") or "").startswith("user"),
            theirs=_id(of.get("id", "")),
            ours=_key(of),
            text=_text(kind, data),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise RequestError(400, "this is no event of PagerDuty's webhooks v3") from None
    return found if found.id else None


def _id(given: Any) -> str:
    return given if isinstance(given, str) and _ID.fullmatch(given) else ""


def _key(incident: Mapping[str, Any]) -> str:
    """Ours, from the key the alert was sent with."""
    match = _OURS.search(str(incident.get("incident_key") or ""))
    return match[0] if match else ""


def _text(kind: str, data: Mapping[str, Any]) -> str:
    """A note's content, or whom an incident was given to."""
    if kind == "incident.annotated":
        words = str(data.get("content") or "")
    else:
        assignees = data.get("assignees") or []
        words = ", ".join(str(who.get("summary") or "") for who in assignees[:10])
        words = f"to {words}" if words else ""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:MAX_NOTE]


def _secrets(desk: Desk) -> list[str]:
    given = desk.daemon.settings.pagerduty_webhook_secrets
    return [part.strip() for part in given.get_secret_value().split(",") if part.strip()] if given else []


def _answer(result: str) -> Response:
    return JSONResponse({"result": result})
