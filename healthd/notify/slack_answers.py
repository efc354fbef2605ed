"""What whoever pressed a button is told, and nobody else: posted to the address that Slack names for its answer.

https://docs.slack.dev/interactivity/handling-user-interaction#message_responses. It is no message of the outbox: the
address holds for half an hour, and what was done stands in the thread, on the timeline and in the audit log anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError
from healthd.notify import http
from healthd.notify.slack_bot import SlackBot
from healthd.notify.slack_text import escape

SLACKS = ("https://hooks.slack.com", "https://hooks.slack-gov.com")
TIMEOUT = timedelta(seconds=5)
_PATH = re.compile(r"/[A-Za-z0-9_/-]{1,500}")  # nothing that could name another host, or be read in two ways

log = structlog.get_logger("healthd.notify")


def origins(channels: Iterable[ChannelSpec]) -> tuple[str, ...]:
    """Where answers may go: Slack's own hosts, and those at which the configured Slack apps reach theirs."""
    urls = [spec.options.url.get_secret_value() for spec in channels if isinstance(spec.options, SlackBot.Options)]
    parts = [urlsplit(url) for url in urls]
    return (*SLACKS, *(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts))


def is_slacks(url: str, allowed: Iterable[str]) -> bool:
    """Whether an address lies at one of the `allowed` origins. Pure."""
    return any(url.startswith(origin) and _PATH.fullmatch(url[len(origin) :]) for origin in allowed)


async def answer(url: str, lines: Sequence[str], channels: Iterable[ChannelSpec], now: Callable[[], datetime]) -> None:
    """Post once, to Slack alone. What goes wrong is a line in the log: the press was acted upon."""
    if not url:
        return
    if not is_slacks(url, origins(channels)):
        log.warning("slack_answer_refused", reason="its response_url is not at Slack")
        return
    sender = http.HttpSender(SecretStr(url), now=now, timeout=TIMEOUT)
    text = "\n".join(escape(line) for line in lines)
    try:
        await sender.post(http.encode({"response_type": "ephemeral", "replace_original": False, "text": text}))
    except ChannelError as error:
        log.info("slack_answer_not_taken", reason=error.reason)
    finally:
        await sender.close()
