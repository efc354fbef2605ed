"""Maintenance windows: when they are, whom they keep quiet, what is said of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Check, System
from healthd.model.incidents import Incident, Notice
from healthd.model.records import Record
from healthd.model.runbook import Window
from healthd.model.units import format_duration
from healthd.model.windows import LONGEST, USUAL_NOTICE, Maintenance, WindowError

KIND = "window"
PHASES = ("ahead", "start", "end")
# An end is told until so much later: healthd may have been away.
STILL_NEWS = timedelta(hours=12)


def occurrence(system: str, window: Window, starts: datetime) -> Maintenance:
    """The one of the catalogue's window that begins at this firing of its cadence."""
    return Maintenance(
        id=f"{system}.{window.name}.{starts.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        system=system,
        title=window.title,
        starts_at=starts,
        ends_at=starts + window.duration,
        name=window.name,
        notice=USUAL_NOTICE if window.notice is None else window.notice,
        description=window.description,
        except_severities=window.except_severities,
        except_checks=window.except_checks,
    )


def make(planned: Maintenance, now: datetime) -> Maintenance:
    """An added one, if it can be. Raises WindowError."""
    if not planned.title.strip():
        raise WindowError("a reason is needed", "say what is done, for those who wonder why nobody was told")
    if planned.ends_at <= planned.starts_at:
        raise WindowError("it ends before it starts")
    if planned.ends_at <= now:
        raise WindowError("it is over already")
    if planned.ends_at - planned.starts_at > LONGEST:
        raise WindowError(f"it lasts longer than {LONGEST.days} days")
    return planned


def covers(window: Maintenance, incident: Incident, check: Check) -> bool:
    """Whether it keeps this incident quiet while it is open, as far as `check` is what fails."""
    if window.system != check.system or incident.severity in window.except_severities:
        return False
    return not any(_fits(glob, check) for glob in window.except_checks)


def why(window: Maintenance) -> str:
    """For people: why something is kept quiet, and until when."""
    by = f", by {window.author}" if window.author else ""
    return f"maintenance until {window.ends_at:%Y-%m-%d %H:%M} UTC: {window.title}{by}"


def ended(window: Maintenance, now: datetime, actor: str) -> Maintenance:
    """Ended early, or called off before it began. Raises WindowError when it is over."""
    state = window.state(now)
    if state == "planned":
        return replace(window, ended_by=actor, called_off=True)
    if state == "active":
        return replace(window, ends_at=now, ended_by=actor)
    raise WindowError(f"{window.id} is {state} already")


def due_phases(window: Maintenance, now: datetime, told: Iterable[str]) -> list[str]:
    """What is to be said of it by now and has not been: of "ahead", "start" and "end" the newest, or nothing.

    What has been overtaken is not said any more; the end of one is only said to those who heard of its beginning.
    """
    heard = set(told)
    if window.called_off:
        return ["end"] if heard and "end" not in heard else []
    if now >= window.ends_at:
        late = now - window.ends_at > STILL_NEWS
        return ["end"] if "start" in heard and "end" not in heard and not late else []
    if now >= window.starts_at:
        return [] if "start" in heard else ["start"]
    ahead = window.notice > timedelta(0) and now >= window.starts_at - window.notice
    return ["ahead"] if ahead and "ahead" not in heard else []


def notice(window: Maintenance, phase: str, system: System | None, now: datetime) -> Notice:
    """What is told at one of its phases. The same phase of one occurrence is the same notice."""
    zone = system.zone if system else ZoneInfo("UTC")
    what, name = window.title, system.title if system else window.system
    begins, ends = _clock(window.starts_at, zone), _clock(window.ends_at, zone)
    spare = _spared(window)
    if phase == "ahead":
        wait = format_duration(round((window.starts_at - now).total_seconds()))
        title = f"Maintenance of {name} in {wait}: {what}"
        text = f"From {begins} to {ends}. Nobody is told of its incidents meanwhile{spare}; they are recorded."
    elif phase == "start":
        title = f"Maintenance of {name} has begun: {what}"
        text = f"Until {ends} nobody is told of its incidents{spare}; they are recorded."
    elif window.called_off:
        title, text = f"Maintenance of {name} is called off: {what}", f"It was planned from {begins} to {ends}."
    else:
        by = f" It was ended by {window.ended_by}." if window.ended_by else ""
        title = f"Maintenance of {name} is over: {what}"
        text = f"It ended at {ends}.{by} Incidents that are still open are told now."
    if window.description and phase != "end":
        text += f"\n\n{window.description}"
    lasts = format_duration((window.ends_at - window.starts_at).total_seconds())
    fields = (
        ("Begins", begins),
        ("Ends", ends),
        ("Lasts", lasts),
        *((("By", window.author),) if window.author else ()),
    )
    return Notice(
        kind=KIND,
        id=f"{window.id}/{'off' if window.called_off else phase}",
        system=window.system,
        title=title,
        text=text,
        at=now,
        path="/windows",
        fields=fields,
        details={"phase": phase, **as_json(window)},
    )


def as_json(window: Maintenance) -> dict[str, Any]:
    """Plain data."""
    return {
        "id": window.id,
        "system": window.system,
        "name": window.name,
        "title": window.title,
        "description": window.description,
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
        "notice": window.notice.total_seconds(),
        "author": window.author,
        "except_severities": list(window.except_severities),
        "except_checks": list(window.except_checks),
        "ended_by": window.ended_by,
        "called_off": window.called_off,
    }


def to_record(window: Maintenance, told: Iterable[str]) -> Record:
    """Closed at its end. `told` are the phases that have been."""
    body = {**as_json(window), "told": sorted(told)}
    return Record(KIND, window.id, window.starts_at, window.system, window.name, window.ends_at, body)


def from_record(record: Record) -> tuple[Maintenance, frozenset[str]]:
    """One, and the phases that have been told."""
    body = record.body
    window = Maintenance(
        id=record.id,
        system=record.system,
        title=body["title"],
        starts_at=record.at,
        ends_at=datetime.fromisoformat(body["ends_at"]),
        name=record.name,
        notice=timedelta(seconds=body["notice"]),
        description=body["description"],
        author=body["author"],
        except_severities=tuple(body["except_severities"]),
        except_checks=tuple(body["except_checks"]),
        ended_by=body["ended_by"],
        called_off=body["called_off"],
    )
    return window, frozenset(body["told"])


def _fits(glob: str, check: Check) -> bool:
    return fnmatchcase((check.id if "/" in glob else check.name).lower(), glob.lower())


def _spared(window: Maintenance) -> str:
    spared = [*window.except_severities, *window.except_checks]
    return f", but of {', '.join(spared)}" if spared else ""


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
