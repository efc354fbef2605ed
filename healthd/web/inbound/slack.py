"""Slack's buttons: acknowledge an incident, or silence it for an hour, in the name of who pressed.

https://docs.slack.dev/interactivity/handling-user-interaction. What came of it is said to who pressed, once it is
recorded and Slack has its answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from healthd.model.incidents import Incident
from healthd.model.silences import SilenceError
from healthd.web.desk import Desk, desk_of
from healthd.web.inbound.once import is_known, keep
from healthd.web.inbound.signatures import slacks_problem
from healthd.web.problem import RequestError
from healthd.web.security import actor_name
from healthd.web.words import ago, clock

SERVICE = "slack"
ACKNOWLEDGE, SILENCE = "healthd_acknowledge", "healthd_silence"
QUIET_FOR = timedelta(hours=1)
MAX_ACTIONS = 5

log = structlog.get_logger("healthd.inbound")


async def receive(request: Request) -> Response:
    """`POST /hooks/slack`. 401 for what Slack did not sign, or not just now; an empty 200 for everything else."""
    desk = desk_of(request)
    secret = desk.daemon.settings.slack_signing_secret
    if secret is None:
        raise RequestError(404, "Slack's buttons are not taken", "set HEALTHD_SLACK_SIGNING_SECRET")
    body, headers = await request.body(), request.headers
    signature = headers.get("x-slack-signature", "")
    timestamp = headers.get("x-slack-request-timestamp", "")
    problem = slacks_problem(secret.get_secret_value(), timestamp, signature, body, desk.now())
    if problem:
        log.warning("webhook_refused", service=SERVICE, reason=problem)
        raise RequestError(401, f"this request is not taken: {problem}")
    payload = parse(body)
    key = hashlib.sha256(signature.encode()).hexdigest()
    actions = list(actions_of(payload))
    if not actions:
        return Response()
    desk.require_ready()
    lines: list[str] = []
    async with desk.hooks:
        if not await is_known(desk, SERVICE, key):
            lines = await _take(desk, actions, who(payload) + " (Slack)")
            await keep(desk, SERVICE, key)
    if not lines:
        return Response()
    return Response(background=BackgroundTask(desk.daemon.answer_slack, str(payload.get("response_url", "")), lines))


async def _take(desk: Desk, actions: Iterable[tuple[str, str]], actor: str) -> list[str]:
    """What to say of each."""
    lines = []
    for action, incident_id in actions:
        incident = desk.daemon.incidents.get(incident_id)
        done = await _act(desk, action, incident, actor) if incident else await _past(desk, incident_id)
        log.info("webhook_taken", service=SERVICE, kind=action, incident=incident_id, actor=actor, done=done)
        lines.append(f"{f'{incident.title} ({incident_id})' if incident else incident_id}: {done}")
    return lines


async def _act(desk: Desk, action: str, incident: Incident, actor: str) -> str:
    """What came of it: whoever pressed may have seen a message older than what has happened since."""
    try:
        if action == ACKNOWLEDGE:
            await desk.change(desk.daemon.acknowledge(incident.id, actor))
            return _acknowledged(incident, actor, desk)
        return await _silence(desk, incident, actor)
    except KeyError:
        return await _past(desk, incident.id)
    except SilenceError as error:
        return f"not done: {error}"


def _acknowledged(before: Incident, actor: str, desk: Desk) -> str:
    """`before`: as it was until then."""
    if before.acknowledged_at is None:
        return "acknowledged, it is yours"
    when = ago(before.acknowledged_at, desk.now())
    if before.acknowledged_by == actor:
        return f"you had acknowledged it already, {when}"
    return f"it is yours now; {before.acknowledged_by} had acknowledged it already, {when}"


async def _silence(desk: Desk, incident: Incident, actor: str) -> str:
    matcher = f"check={incident.check_id}" if incident.joined <= 1 else f"incident={incident.id}"
    ends = desk.now() + QUIET_FOR
    silence = await desk.change(desk.daemon.silences.add([matcher], actor, "silenced in Slack", None, ends))
    await desk.change(desk.daemon.remark(incident.id, actor, "silenced for an hour in Slack"))
    system = desk.daemon.catalogue.systems.get(incident.system)
    until = clock(ends, system.zone if system else ZoneInfo("UTC"))
    return f"{matcher} is silenced until {until}; to end that sooner: healthd silence expire {silence.id}"


async def _past(desk: Desk, incident_id: str) -> str:
    """Why nothing can be done about one that is not open."""
    incident = await desk.ask(desk.daemon.store.incident(incident_id))
    if incident is None:
        return "not done: healthd knows no such incident"
    if incident.merged_into:
        return f"not done: it is part of {incident.merged_into} now"
    return f"not done: it ended {ago(incident.resolved_at or desk.now(), desk.now())}"


def parse(body: bytes) -> Mapping[str, Any]:
    """The payload of an interaction. Raises RequestError."""
    try:
        (text,) = parse_qs(body.decode(), max_num_fields=10)["payload"]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError):
        raise RequestError(400, "this is no interaction of Slack's") from None
    if not isinstance(payload, dict):
        raise RequestError(400, "this is no interaction of Slack's")
    return payload


def actions_of(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(action, incident) of the buttons pressed; those of other apps are none of ours."""
    actions = payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(actions, list):
        return
    for action in actions[:MAX_ACTIONS]:
        if isinstance(action, dict) and action.get("action_id") in (ACKNOWLEDGE, SILENCE):
            yield str(action["action_id"]), str(action.get("value", ""))[:100]


def who(payload: Mapping[str, Any]) -> str:
    """The name of who pressed."""
    user = payload.get("user")
    known = user if isinstance(user, dict) else {}
    return actor_name(known.get("name") or known.get("username") or known.get("id"), "somebody")
