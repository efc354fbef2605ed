"""Which incidents a silence is about, and what is told when the quiet is over. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from typing import Any

from healthd.incidents.lifecycle import Decision
from healthd.model.catalogue import Check
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.matchers import MAX_VALUE, checked
from healthd.model.outcomes import Level
from healthd.model.records import Record
from healthd.model.silences import LONGEST, Matcher, Silence, SilenceError
from healthd.model.units import format_duration

KIND = "silence"
OWN = ("system", "check", "name", "severity", "level", "playbook", "incident")
MAX_MATCHERS = 20


def facts(incident: Incident, check: Check) -> Mapping[str, str]:
    """What matchers look at: the labels of a check that fails, and over them what every incident has (see OWN).

    `check` is system/name, `name` the check's name alone.
    """
    return {
        **check.labels,
        "system": check.system,
        "check": check.id,
        "name": check.name,
        "severity": incident.severity,
        "level": incident.level.name.lower(),
        "playbook": check.playbook or incident.playbook,
        "incident": incident.id,
    }


def make(
    silence_id: str, matchers: Iterable[Matcher], author: str, reason: str, times: tuple[datetime, datetime, datetime]
) -> Silence:
    """A new silence; `times` are when it is made, begins and ends. Raises SilenceError for one nobody can mean."""
    now, starts, ends = times
    found = tuple(dict.fromkeys(checked(m) for m in matchers))
    if not found:
        raise SilenceError("it says not what is to be quiet", "give a matcher such as check=shop/web, or system=*")
    if len(found) > MAX_MATCHERS:
        raise SilenceError(f"{len(found)} matchers are more than {MAX_MATCHERS}")
    if not reason.strip():
        raise SilenceError("a reason is needed", "say why, for those who wonder why nobody was told")
    if ends <= starts:
        raise SilenceError("it ends before it starts")
    if ends <= now:
        raise SilenceError("it is over already")
    if ends - starts > LONGEST:
        hint = "what is never to be told is better switched off in the catalogue: enabled: false"
        raise SilenceError(f"it lasts longer than {LONGEST.days} days", hint)
    return Silence(silence_id, found, author, reason.strip(), now, starts, ends)


def matches(silence: Silence, labels: Mapping[str, str]) -> bool:
    """Whether all its matchers hold. A label that is not there is the empty word."""
    return all(_holds(matcher, labels) for matcher in silence.matchers)


def why(silence: Silence) -> str:
    """For people: by whom something is kept quiet, until when, and why."""
    return f"silenced by {silence.author} until {silence.ends_at:%Y-%m-%d %H:%M} UTC: {silence.reason} ({silence.id})"


def hushed(incident: Incident, at: datetime, reason: str) -> Decision:
    """An open incident begins to be kept quiet, or is from now on for another reason."""
    return Decision(incident, "silenced", TimelineEntry(incident.id, at, "silenced", reason))


def spoken(incident: Incident, at: datetime) -> Decision:
    """Nothing keeps an open incident quiet any more: what was not told is told now, once.

    As new where nobody has heard of it, as worse where it is worse than what was last told.
    """
    last = str(incident.details.get("told_level", ""))
    heard = bool(last) and bool(incident.details.get("channels"))
    worse = heard and incident.level.badness > Level[last.upper()].badness
    event = "worsened" if worse else "unsilenced" if heard else "firing"
    text = "no longer kept quiet" + ("" if event == "unsilenced" else ", and still open: told now")
    open_for = format_duration(round((at - incident.opened_at).total_seconds()))
    entry = TimelineEntry(incident.id, at, "unsilenced", f"{text} (open for {open_for})")
    return Decision(incident, event, entry)


def to_record(silence: Silence, now: datetime) -> Record:
    """Open until it is over."""
    system = next((m.value for m in silence.matchers if m.name == "system" and m.op == "="), "")
    body: dict[str, Any] = {
        "matchers": [[m.name, m.op, m.value] for m in silence.matchers],
        "author": silence.author,
        "reason": silence.reason,
        "starts_at": silence.starts_at.isoformat(),
        "ends_at": silence.ends_at.isoformat(),
        "ended_by": silence.ended_by,
    }
    closed_at = silence.ends_at if now >= silence.ends_at else None
    return Record(KIND, silence.id, silence.created_at, system, closed_at=closed_at, body=body)


def from_record(record: Record) -> Silence:
    """As it was written."""
    body = record.body
    return Silence(
        id=record.id,
        matchers=tuple(Matcher(*parts) for parts in body["matchers"]),
        author=body["author"],
        reason=body["reason"],
        created_at=record.at,
        starts_at=datetime.fromisoformat(body["starts_at"]),
        ends_at=datetime.fromisoformat(body["ends_at"]),
        ended_by=body.get("ended_by", ""),
    )


def expired(silence: Silence, now: datetime, actor: str) -> Silence:
    """Ended early, by whom. One that has not begun never does."""
    return replace(silence, ends_at=now, starts_at=min(silence.starts_at, now), ended_by=actor)


def _holds(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")[:MAX_VALUE]
    found = bool(_expression(matcher.op, matcher.value).fullmatch(value))
    if matcher.op in ("=", "!=") and matcher.name == "check" and "/" not in matcher.value:
        found = bool(_expression(matcher.op, matcher.value).fullmatch(labels.get("name", "")))
    return found is (matcher.op in ("=", "=~"))


@lru_cache(maxsize=4096)
def _expression(operator: str, value: str) -> re.Pattern[str]:
    if operator.endswith("~"):
        return re.compile(value)
    return re.compile(translate(value), re.IGNORECASE)
