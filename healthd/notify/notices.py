"""Notices: what is told that is no incident. Which channels hear of one, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Route, System
from healthd.model.incidents import Notice
from healthd.model.times import rfc3339
from healthd.notify.compose import clean
from healthd.notify.message import Body
from healthd.notify.routes import Subject, route

EVENT = "notice"


def subject_of(notice: Notice, system: System | None) -> Subject:
    """What routes are asked about. One that asks for a check or a level, which a notice has not, is not met."""
    return Subject(
        notice.system,
        notice.severity,
        kind=notice.kind,
        cadence=notice.cadence,
        labels=notice.labels,
        zone=system.zone if system else ZoneInfo("UTC"),
    )


def match_notice(routes: Sequence[Route], notice: Notice, known: Collection[str]) -> tuple[str, ...]:
    """The channels to tell, each once, whatever the hour. Without any route: all `known`."""
    return route(routes, subject_of(notice, None), known, notice.at).channels


def compose_notice(notice: Notice, system: System | None, public_url: str, redact: Callable[[str], str]) -> Body:
    """The body of a message about `notice` (keys: see message.py), redacted and bounded. Pure."""
    base = public_url.rstrip("/")
    body = {
        "event": EVENT,
        "notice": {
            "kind": notice.kind,
            "title": notice.title,
            "text": notice.text,
            "severity": notice.severity,
            "cadence": notice.cadence,
            "fields": [{"name": name, "value": value} for name, value in notice.fields],
            "details": dict(notice.details),
        },
        "system": {"name": notice.system, "title": system.title if system else notice.system},
        "at": rfc3339(notice.at),
    }
    cleaned: Body = clean(body, redact)
    cleaned["notice"] |= {"id": notice.id, "url": f"{base}{notice.path}" if base and notice.path else ""}
    return cleaned
