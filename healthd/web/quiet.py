"""Silences and maintenance windows asked for through a page or the API: checked, done, refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from healthd.model.silences import Silence, SilenceError
from healthd.model.units import UnitError, parse_duration
from healthd.model.windows import USUAL_NOTICE, Maintenance, WindowError
from healthd.web.desk import Desk
from healthd.web.pages.incidents import clean_note
from healthd.web.security import RequestError
from healthd.web.spans import span


async def silence(
    desk: Desk, matchers: Sequence[str], author: str, reason: str, times: tuple[str, str, str]
) -> Silence:
    """Make a silence; `times` are its start, its end and its duration as written. Raises RequestError."""
    desk.require_ready()
    starts, ends = span(*times, desk.now())
    given = starts if times[0].strip() else None
    try:
        return await desk.change(desk.daemon.silences.add(matchers, author, clean_note(reason), given, ends))
    except SilenceError as error:
        raise RequestError(400, error.reason, error.hint) from None


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

    `spared` are severities of which incidents are told all the same. Raises RequestError.
    """
    desk.require_ready()
    system, reason, author = planned
    starts, ends = span(*times, desk.now())
    try:
        ahead = parse_duration(notice.strip()) if notice.strip() else USUAL_NOTICE
    except UnitError as error:
        raise RequestError(400, f"notice: {error}") from None
    except OverflowError:
        raise RequestError(400, f"notice: {notice.strip()[:40]} is too long") from None
    known = desk.daemon.catalogue.systems.get(system)
    if known is not None and (wrong := [name for name in spared if name not in known.severities]):
        scale = ", ".join(known.severities)
        raise RequestError(400, f"{system} has no severity {wrong[0][:40]!r}", f"there is {scale}")
    window = Maintenance(
        "", system, clean_note(reason), starts, ends, notice=ahead, author=author, except_severities=tuple(spared)
    )
    try:
        return await desk.change(desk.daemon.windows.add(window))
    except WindowError as error:
        raise RequestError(400, error.reason, error.hint) from None


async def end_window(desk: Desk, window_id: str, actor: str) -> Maintenance:
    """End a window early, or call it off. Raises RequestError 404 for an unknown one, 409 for one that is over."""
    desk.require_ready()
    try:
        return await desk.change(desk.daemon.windows.end(window_id, actor))
    except KeyError:
        raise RequestError(404, f"no window {window_id[:60]!r}", "all of them are listed at /windows") from None
    except WindowError as error:
        raise RequestError(409, error.reason, error.hint) from None
