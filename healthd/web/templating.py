"""The page templates: loaded when a page is first asked for, rendered in slices that give way to running checks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from healthd.model.times import rfc3339
from healthd.report.markdown import budget_text, share_text
from healthd.report.svg import proportions
from healthd.web.plot import SIZES
from healthd.web.standing import Status, word
from healthd.web.words import ago, clock, duration, value_text

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER = Path(__file__).parent / "templates"
SLICE_SECONDS = 0.005  # how long rendering may keep the event loop
SYMBOLS = {
    Status.OK: "✓", Status.WARNING: "▲", Status.CRITICAL: "✖", Status.UNKNOWN: "?",
    Status.WAITING: "…", Status.DISABLED: "–",
}  # fmt: skip


class Templates:
    """`render` is all there is."""

    def __init__(self) -> None:
        self._environment: Environment | None = None

    async def render(self, name: str, context: dict[str, Any]) -> str:
        """The page `name` with `context`, everything escaped that is not a template's own."""
        template = await asyncio.to_thread(self._template, name)
        parts = []
        give_way_at = time.perf_counter() + SLICE_SECONDS
        for part in template.generate(context):
            parts.append(part)
            if time.perf_counter() > give_way_at:
                await asyncio.sleep(0)
                give_way_at = time.perf_counter() + SLICE_SECONDS
        return "".join(parts)

    def _template(self, name: str) -> Template:
        if self._environment is None:
            self._environment = _environment()
        return self._environment.get_template(name)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    environment.filters |= {
        "ago": ago, "clock": clock, "duration": _lasting, "rfc3339": rfc3339,
        "word": word, "value": value_text, "symbol": lambda status: SYMBOLS[Status(status)],
        "plural": _plural, "share": share_text, "budget": budget_text, "code": _code, "day": _day,
        "bar": _bar, "elapsed": _elapsed, "time": _time, "moment": lambda at, zone: f"{at.astimezone(zone):%H:%M:%S}",
    }  # fmt: skip
    environment.globals["sizes"] = {size.name: size for size in SIZES}
    return environment


def _lasting(length: timedelta) -> str:
    """Whole seconds from ten on: a page needs no more."""
    seconds = length.total_seconds()
    return duration(timedelta(seconds=round(seconds)) if seconds >= 10 else length)


def _elapsed(length: timedelta) -> str:
    return duration(timedelta(seconds=round(length.total_seconds())))


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _bar(counts: Mapping[str, int]) -> Markup:
    """Counts as one divided bar."""
    there = {str(status): number for status, number in counts.items() if number}
    said = ", ".join(f"{number} {status}" for status, number in there.items())
    return Markup(proportions(there, said))  # noqa: S704 - everything in it is escaped or a number


def _time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M %Z}"


def _code(text: str) -> Markup:
    """Text with `code` in it, escaped."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>%s</code>") % p if i % 2 else p for i, p in enumerate(parts))


def _day(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local:%A} {local.day} {local:%B %Y}"
