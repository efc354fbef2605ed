"""Notices: what is told that is no incident. Which channels hear of one, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from healthd.model.catalogue import Route, System
from healthd.model.incidents import Notice
from healthd.notify.compose import clean, rfc3339
from healthd.notify.message import Body
from healthd.notify.routes import any_of, chosen

EVENT = "notice"


def match_notice(routes: Sequence[Route], notice: Notice, known: Collection[str]) -> tuple[str, ...]:
    """The channels to tell, each once. As `match` for incidents; a route that asks for a check or a level, which a
    notice has not, is not met. Without any route: all `known`."""
    return chosen(routes, lambda route: _applies(route, notice), known)


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


def _applies(route: Route, notice: Notice) -> bool:
    return (
        any_of(route.kinds, notice.kind)
        and any_of(route.systems, notice.system)
        and any_of(route.severities, notice.severity)
        and any_of(route.cadences, notice.cadence)
        and not route.checks
        and not route.levels
        and all(key in notice.labels and any_of((glob,), notice.labels[key]) for key, glob in route.labels.items())
    )
