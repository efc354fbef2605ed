"""What is done to a message before its channel sends it, whatever the channel: fewer details, the user's templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from healthd.model.incidents import Message
from healthd.notify.context import Context
from healthd.notify.message import Channel
from healthd.notify.options import Options, Rate

log = structlog.get_logger("healthd.notify")


class Dressed:
    """A channel, and what its options ask for of every channel."""

    def __init__(self, channel: Channel, options: Options, context: Context, *, supersedes: bool = True) -> None:
        self.supersedes = supersedes  # whether news that newer news says as well is left out
        self._channel, self._options, self._context = channel, options, context
        self._complained = ""

    @property
    def rate(self) -> Rate | None:
        """At most so many messages."""
        return self._options.rate

    def begin(self) -> None:
        """The channel is in force: start what it does by itself, until `close`."""
        if (begin := getattr(self._channel, "begin", None)) is not None:
            begin()

    async def send(self, message: Message) -> None:
        """Send it as the options want it. A template that fails makes the channel's own message, which says so."""
        await self._channel.send(await self.dress(message))

    async def dress(self, message: Message) -> Message:
        """The message as the channel is given it."""
        body = message.body
        if self._options.details == "brief":
            body = brief(body)
        if self._options.templates is not None and message.event != "test":
            body = await self._filled(body)
        return replace(message, body=body)

    async def close(self) -> None:
        """Release connections."""
        await self._channel.close()

    async def _filled(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        from healthd.notify.templates import ForIncidentsAlone, TemplateProblem, fill_aside  # most channels have none

        assert self._options.templates is not None
        redact = self._context.redact
        try:
            filled = await fill_aside(self._options.templates, body)
        except ForIncidentsAlone:
            return body
        except TemplateProblem as problem:
            self._context.observe(self._context.name, "template_failed")
            if problem.reason != self._complained:
                self._complained = problem.reason
                log.warning("template_failed", channel=self._context.name, reason=redact(problem.reason))
            return _noted(body, redact(f"the channel's template failed: {problem.reason}"))
        self._complained = ""
        # redacted once more: a template can put together what was not whole before
        custom = {"title": redact(filled.title)} | ({} if filled.own_text else {"text": redact(filled.text)})
        return {**body, "custom": custom}


def brief(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without values, evidence, commands and findings: for those who are to know that, and not what exactly."""
    if "notice" in body:
        return body
    update = body.get("update")
    if update and update.get("kind") == "diagnosed":
        update = {**update, "text": "looked through the playbook"}
    members = body.get("members")
    if members:
        members = {**members, "checks": [{**check, "reason": ""} for check in members["checks"]]}
    return {
        **body, "lead": [], "first_step": None, "members": members, "values": [], "evidence": [], "playbook": None,
        "suppressed": [], "diagnosis": None, "update": update,
        "incident": {**body["incident"], "reason": ""},
    }  # fmt: skip


def _noted(body: Mapping[str, Any], note: str) -> Mapping[str, Any]:
    """With a note where people will see it."""
    if "notice" in body:
        notice = body["notice"]
        return {**body, "notice": {**notice, "text": f"{notice['text']}\n\n_{note}_"}}
    incident = body["incident"]
    return {**body, "incident": {**incident, "reason": f"{incident['reason']} ({note})".strip()}}
