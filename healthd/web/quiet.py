"""Silences and maintenance windows asked for through a page or the API: checked, done, refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from healthd.model.matchers import parse_matcher
from healthd.model.silences import Silence, SilenceError
from healthd.model.units import UnitError, parse_duration
from healthd.model.windows import USUAL_NOTICE, Maintenance, WindowError
from healthd.web.desk import Desk
from healthd.web.nearest import nearest
from healthd.web.pages.incidents import clean_note
from healthd.web.problem import RequestError
from healthd.web.spans import span

# what leaves a line blank: control characters, spaces of all widths, marks of direction
INVISIBLE = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
VISIBLE = re.compile(f"[^{INVISIBLE}]")


async def silence(
    desk: Desk, matchers: Sequence[str], author: str, reason: str, times: tuple[str, str, str]
) -> Silence:
    """Make a silence; `times` are its start, its end and its duration as written. Raises RequestError: 400 for what
    cannot be read, 409 for what cannot be at its time."""
    desk.require_ready()
    starts, ends = span(*times, desk.now())
    given = starts if times[0].strip() else None
    why = reason_of(reason)
    try:
        for matcher in matchers:
            parse_matcher(matcher)
    except SilenceError as error:
        raise RequestError(400, error.reason, error.hint) from None
    try:
        return await desk.change(desk.daemon.silences.add(matchers, author, why, given, ends))
    except SilenceError as error:
        raise RequestError(409, error.reason, error.hint) from None


def reason_of(text: str) -> str:
    """On one line; what nobody can see is written as Python does. Raises RequestError 400."""
    if not VISIBLE.search(text):
        raise RequestError(400, "a reason is needed", "say why, for those who wonder why nobody was told")
    return clean_note(text) or clean_note(ascii(text)[1:-1])


async def expire(desk: Desk, silence_id: str, actor: str) -> Silence:
    """End a silence. Raises RequestError 404 for an unknown one, 409 for one that is over."""
    desk.require_ready()
    try:
        return await desk.change(desk.daemon.silences.expire(silence_id, actor))
    except KeyError:
        raise RequestError(404, f"no silence {silence_id[:60]!r}", "all of them are listed at /silences") from None
    except SilenceError as error:
        raise RequestError(409, error.reason, error.hint) from None


async def add_window(
    desk: Desk, planned: tuple[str, str, str], times: tuple[str, str, str], notice: str, spared: Sequence[str] = ()
) -> Maintenance:
    """Add a maintenance window: (system, reason, author), times as for `silence`, how long ahead it is announced.

    `spared` are severities of which incidents are told all the same. Raises RequestError as `silence`, and 404.
    """
    desk.require_ready()
    system, reason, author = planned
    starts, ends = span(*times, desk.now())
    ahead = _notice(notice)
    systems = desk.daemon.catalogue.systems
    if system not in systems:
        hint = nearest(system, systems) or f"there is {', '.join(systems)}"
        raise RequestError(404, f"no system {system[:60]!r}", hint)
    scale = systems[system].severities
    if wrong := [name for name in spared if name not in scale]:
        raise RequestError(404, f"{system} has no severity {wrong[0][:40]!r}", f"there is {', '.join(scale)}")
    window = Maintenance(
        "", system, reason_of(reason), starts, ends, notice=ahead, author=author, except_severities=tuple(spared)
    )
    try:
        return await desk.change(desk.daemon.windows.add(window))
    except WindowError as error:
        raise RequestError(409, error.reason, error.hint) from None


def _notice(text: str) -> timedelta:
    try:
        return parse_duration(text.strip()) if text.strip() else USUAL_NOTICE
    except UnitError as error:
        raise RequestError(400, f"notice: {error}") from None


async def end_window(desk: Desk, window_id: str, actor: str) -> Maintenance:
    """End a window early, or call it off. Raises RequestError 404 for an unknown one, 409 for one that is over."""
    desk.require_ready()
    try:
        return await desk.change(desk.daemon.windows.end(window_id, actor))
    except KeyError:
        raise RequestError(404, f"no window {window_id[:60]!r}", "all of them are listed at /windows") from None
    except WindowError as error:
        raise RequestError(409, error.reason, error.hint) from None
