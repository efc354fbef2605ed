"""Slack's buttons: acknowledge an incident, or silence it for an hour, in the name of who pressed.

https://docs.slack.dev/interactivity/handling-user-interaction
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import Response

from healthd.model.silences import SilenceError
from healthd.web.desk import Desk, desk_of
from healthd.web.inbound.once import is_known, keep
from healthd.web.inbound.signatures import slacks_problem
from healthd.web.problem import RequestError
from healthd.web.security import actor_name

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
    async with desk.hooks:
        if not await is_known(desk, SERVICE, key):
            await _take(desk, actions, who(payload) + " (Slack)")
            await keep(desk, SERVICE, key)
    return Response()


async def _take(desk: Desk, actions: Iterable[tuple[str, str]], actor: str) -> None:
    for action, incident in actions:
        done = await _act(desk, action, incident, actor)
        log.info("webhook_taken", service=SERVICE, kind=action, incident=incident, actor=actor, done=done)


async def _act(desk: Desk, action: str, incident_id: str, actor: str) -> str:
    incident = desk.daemon.incidents.get(incident_id)
    if incident is None:
        return "no such incident, or it is over"
    try:
        if action == ACKNOWLEDGE:
            await desk.change(desk.daemon.acknowledge(incident_id, actor))
            return "acknowledged"
        matcher = f"check={incident.check_id}" if incident.joined <= 1 else f"incident={incident.id}"
        ends = desk.now() + QUIET_FOR
        await desk.change(desk.daemon.silences.add([matcher], actor, "silenced in Slack", None, ends))
        await desk.change(desk.daemon.remark(incident_id, actor, "silenced for an hour in Slack"))
    except (KeyError, SilenceError) as error:
        return f"not done: {error}"
    return "silenced"


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
