"""Templates of a channel: title and text of a message as its users want them, from the message's own data."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import TemplateSyntaxError, UndefinedError

from healthd.model.units import format_duration
from healthd.notify import options, words
from healthd.notify.markdown import to_plain
from healthd.notify.sandbox import Sandbox

MAX_TITLE = 500
MAX_TEXT = 12_000
# what is said when a template speaks of what only incidents have
_FOR_INCIDENTS = frozenset(
    f"{name!r} is undefined"
    for name in ("incident", "check", "values", "evidence", "playbook", "members", "diagnosis", "first_step", "lead")
)


class TemplateProblem(Exception):  # noqa: N818 - a problem of the user's, told in words
    """A template that cannot be used; the reason says where and why, and holds nothing of the message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForIncidentsAlone(TemplateProblem):
    """The message is a notice, and the template speaks of what only incidents have."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What templates made of a message. `own_text`: there is none for the text, which is as a plain channel has it."""

    title: str
    text: str
    own_text: bool = False


def fill(templates: options.Templates, body: Mapping[str, Any]) -> Filled:
    """The title and text for `body`; what has no template is the channel's own. Raises TemplateProblem."""
    try:
        title, text = templates.sources()
    except (OSError, ValueError) as error:
        raise TemplateProblem(f"cannot read {templates.file}: {type(error).__name__}") from None
    return fill_texts(title, text, body)


def fill_texts(title: str, text: str, body: Mapping[str, Any]) -> Filled:
    """As `fill`, for templates as texts."""
    sandbox = Sandbox({"duration": _duration, "time": _time, "plain": to_plain})
    values = _values(body)
    made_title = _one(sandbox, "title", title, values, MAX_TITLE) if title.strip() else ""
    made_text = _one(sandbox, "text", text, values, MAX_TEXT) if text.strip() else ""
    own = words.plain({**body, "custom": None})
    return Filled(" ".join(made_title.split()) or words.headline(body), made_text.strip() or own, not made_text.strip())


async def fill_aside(templates: options.Templates, body: Mapping[str, Any]) -> Filled:
    """As `fill`, without holding up the event loop."""
    return await asyncio.to_thread(fill, templates, body)


def _one(sandbox: Sandbox, which: str, source: str, values: Mapping[str, Any], limit: int) -> str:
    try:
        return sandbox.fill(sandbox.read(source), values, limit)
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"{which}, line {error.lineno}: {error.message}") from None
    except UndefinedError as error:
        kind = ForIncidentsAlone if words.is_notice(values) and error.message in _FOR_INCIDENTS else TemplateProblem
        raise kind(f"{which}: {error.message}") from None
    except RecursionError:
        raise TemplateProblem(f"{which}: it calls itself without end") from None
    except Exception as error:  # noqa: BLE001 - an expression may raise anything
        raise TemplateProblem(f"{which}: {type(error).__name__}: {str(error)[:200]}") from None


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body's keys, and what the channels' own messages are made of."""
    likely, command = ("", "") if words.is_notice(body) else words.cause(body)
    return {
        **body,
        "headline": words.headline(body),
        "news": words.news(body),
        "status": words.WORDS.get(body["event"], body["event"]),
        "sign": words.sign(body),
        "likely_cause": likely,
        "first_command": command,
        "links": [{"text": text, "url": url} for text, url in words.links(body)],
        "default_text": words.plain(body),
    }


def _duration(value: Any) -> str:
    """Seconds for people: {{ 90|duration }} is "1m 30s"."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    return format_duration(max(0.0, seconds))


def _time(value: str, zone: str = "UTC", form: str = "%Y-%m-%d %H:%M") -> str:
    """An RFC 3339 time in a time zone: {{ incident.opened_at|time("Europe/Berlin", "%H:%M") }}."""
    if not value:
        return ""
    try:
        at = datetime.fromisoformat(value).astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"not a time, or no such time zone: {type(error).__name__}") from None
    return at.strftime(form[:100])
