"""Slack, through an incoming webhook. Rendering is slack_blocks.py's."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Annotated

import structlog
from pydantic import BeforeValidator, SecretStr

from healthd.model.incidents import ChannelError, Message
from healthd.notify import http
from healthd.notify.context import Context
from healthd.notify.options import Rate, parse_rate
from healthd.notify.slack_blocks import render
from healthd.notify.slack_text import REFUSED

log = structlog.get_logger("healthd.notify")

# Slack's error words that a person can do something about
# (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, "Handling errors").
ADVICE = MappingProxyType(
    {
        "no_service": "the incoming webhook was removed or switched off: make a new one",
        "no_active_hooks": "the incoming webhook was switched off: make a new one",
        "no_team": "the workspace of this webhook address does not exist: check the address",
        "team_disabled": "the workspace is switched off",
        "invalid_token": "the webhook address is wrong or was revoked: check it",
        "channel_not_found": "the webhook's channel was deleted: make a new webhook",
        "channel_is_archived": "unarchive the webhook's channel, or make a webhook for another one",
        "action_prohibited": "an administrator of the workspace forbids posting through this webhook",
        "posting_to_general_channel_denied": "this webhook may not post to #general: make one for another channel",
    }
)


class Slack:
    """Posts Block Kit messages to one Slack channel.

    An incoming webhook cannot answer in a thread (Slack returns no message id), so every event is a message
    of its own, recognisable by its first word and the incident's title.
    """

    class Options(http.Options):
        """`webhook_url`: https://hooks.slack.com/services/..., a secret: whoever has it can post."""

        webhook_url: http.SecretUrl
        rate: Annotated[Rate | None, BeforeValidator(parse_rate)] = Rate(5, timedelta(seconds=5))

    def __init__(self, options: Options, context: Context) -> None:
        url: SecretStr = options.webhook_url
        self._name = context.name
        self._http = http.HttpSender(url, now=context.now, timeout=options.timeout, advice=ADVICE)

    async def send(self, message: Message) -> None:
        """Post the message, its text alone where Slack does not take the blocks. Slack answers 200 "ok"; anything else
        but a 2xx is a ChannelError."""
        payload = render(message.body)
        try:
            accepted = await self._http.post(http.encode(payload))
        except ChannelError as error:
            if not any(word in error.reason for word in REFUSED):
                raise
            log.warning("slack_blocks_refused", channel=self._name, incident=message.group, reason=error.reason)
            accepted = await self._http.post(http.encode({"text": payload["text"]}))
        if accepted.text.startswith("<"):
            raise ChannelError(f"answered {accepted.status} with a web page: this is no Slack webhook", permanent=True)

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()
