"""The life of a task asked for: due, reminded, overdue, signed for, taken back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from typing import Any
from zoneinfo import ZoneInfo

from healthd.model.attestations import AttestationError, Request, Task
from healthd.model.catalogue import Check, System
from healthd.model.incidents import Incident, Notice
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.records import Record
from healthd.model.units import Unit, format_duration

KIND = "attestation"
PUNCTUAL = timedelta(minutes=5)


def request_id(check_id: str, at: datetime, incident: str = "") -> str:
    """The same for the same firing, or the same incident, whoever works it out and when."""
    digest = blake2s(f"{check_id}|{incident or at.isoformat()}".encode(), digest_size=4).hexdigest()
    return f"ATT-{at.astimezone(UTC):%Y%m%d-%H%M%S}-{digest}"


def asked(
    check: Check, task: Task, at: datetime, incident: Incident | None = None, *, now: datetime | None = None
) -> Request:
    """The task is asked for: at a firing of its cadence, or at an incident's end.

    Where people are asked much later (`now`), because healthd was away, they get their time all the same; what is to
    follow an incident is due so long after its end.
    """
    late = incident is None and now is not None and now - at > min(PUNCTUAL, task.due / 10)
    return Request(
        id=request_id(check.id, at, incident.id if incident else ""),
        check_id=check.id,
        title=check.title + (f": {incident.title}" if incident else ""),
        asked_at=at,
        due_by=(now if late and now else at) + task.due,
        cadence=check.cadences[0] if check.cadences else "",
        incident=incident.id if incident else "",
        who=task.who,
        description=check.description,
        about=_about(incident) if incident else "",
    )


def ended_again(request: Request, wanted: Request) -> Request:
    """The incident it follows was reopened and has ended anew: there is time from then on. `wanted` is what would be
    asked for now."""
    return replace(request, due_by=wanted.due_by, about=wanted.about)


def follows(request: Request, before: Request | None) -> tuple[Request, Request | None]:
    """A new request takes the place of the one before it, if that is open: which nobody signed for, then.

    What was overdue stays so, since when it was.
    """
    if before is None or not before.is_open:
        return request, None
    late_from = before.late_from if before.late_from < request.asked_at else None
    missed = replace(before, closed_at=request.asked_at, dropped=f"{request.id} took its place")
    return replace(request, overdue_since=late_from), missed


def dropped(request: Request, now: datetime, reason: str) -> Request:
    """Nobody is asked for it any more."""
    return replace(request, closed_at=now, dropped=reason)


def given(request: Request, now: datetime, by: str, note: str, link: str) -> Request:
    """Somebody signed for it. Raises AttestationError for one that is closed."""
    if not request.is_open:
        raise _closed(request)
    return replace(request, closed_at=now, given_by=by, note=note, link=link)


def taken_back(request: Request, now: datetime, by: str, reason: str) -> Request:
    """A signature is withdrawn: the task is open again. Raises AttestationError."""
    if not request.given_by or request.closed_at is None:
        raise AttestationError(f"{request.id} was not given", "only what was given can be withdrawn")
    if not reason.strip():
        raise AttestationError("a reason is needed", "say why it is withdrawn")
    event = {
        "by": by,
        "at": now.isoformat(),
        "reason": reason.strip(),
        "given_by": request.given_by,
        "given_at": request.closed_at.isoformat(),
    }
    return replace(
        request, closed_at=None, given_by="", note="", link="", withdrawn=(*request.withdrawn, event)
    )  # fmt: skip


def reminders(request: Request, task: Task, now: datetime) -> int:
    """How often it should have been asked for again by now. From when it is overdue on, its incident says so."""
    if not request.is_open or task.remind <= timedelta(0) or now >= request.late_from:
        return request.reminded
    told_at = request.due_by - task.due
    return max(request.reminded, int((now - told_at) / task.remind))


def reminded(request: Request, count: int) -> Request:
    """It has been asked for again, `count` times in all."""
    return replace(request, reminded=count)


def look(requests: Sequence[Request], now: datetime, zone: ZoneInfo) -> Observation:
    """What its check sees: how many are open, and how long the oldest of them has been overdue."""
    open_ = sorted((r for r in requests if r.is_open), key=lambda r: r.late_from)
    overdue = max((now - open_[0].late_from).total_seconds(), 0.0) if open_ else 0.0
    measurements = (Measurement("due", len(open_)), Measurement("overdue", overdue, Unit.SECONDS))
    text = "\n".join(f"healthd attest {r.id}: {r.title}{_who(r)}, due by {_clock(r.due_by, zone)}" for r in open_[:20])
    evidence = (Evidence("To be signed for", text),) if open_ else ()
    note = f"nobody has signed for it: {_when(open_[0], zone)}" if overdue > 0 else ""
    return Observation(measurements, evidence, note)


def ask_notice(requests: Sequence[Request], system: System, at: datetime, *, again: bool, page: str = "") -> Notice:
    """What is told when tasks of one system are asked for, or asked for again. `page` is healthd's address."""
    first, zone = requests[0], system.zone
    verb = "Still to be done" if again else "To be done"
    many = len(requests) > 1
    title = f"{verb}: {len(requests)} tasks of {system.title}" if many else f"{verb}: {first.title}"
    text = "\n".join(_line(r, zone, page) for r in requests) if many else _one(first, zone, page)
    due = min(r.due_by for r in requests)
    people = ", ".join(dict.fromkeys(r.who for r in requests if r.who))
    fields = (("Due by", _clock(due, zone)), *((("Who", people),) if people else ()))
    postmortem = any(r.incident for r in requests)
    return Notice(
        kind="postmortem" if postmortem else KIND,
        id=_notice_id(requests, again=again),
        system=system.name,
        title=title,
        text=text,
        at=at,
        cadence=first.cadence,
        path="/attestations" if many else f"/attestations/{first.id}",
        fields=fields,
        details={"requests": [{"id": r.id, "check": r.check_id, "due_by": r.due_by.isoformat()} for r in requests]},
    )


def to_record(request: Request) -> Record:
    """Open until somebody signed for it, or nobody is asked any more."""
    body: dict[str, Any] = {
        "title": request.title,
        "due_by": request.due_by.isoformat(),
        "cadence": request.cadence,
        "incident": request.incident,
        "who": request.who,
        "description": request.description,
        "reminded": request.reminded,
        "overdue_since": request.overdue_since.isoformat() if request.overdue_since else "",
        "by": request.given_by,
        "note": request.note,
        "link": request.link,
        "dropped": request.dropped,
        "withdrawn": [dict(event) for event in request.withdrawn],
        "about": request.about,
    }
    system, _, name = request.check_id.partition("/")
    return Record(KIND, request.id, request.asked_at, system, name, request.closed_at, body)


def from_record(record: Record) -> Request:
    """As it was written."""
    body = record.body
    return Request(
        id=record.id,
        check_id=f"{record.system}/{record.name}",
        title=body["title"],
        asked_at=record.at,
        due_by=datetime.fromisoformat(body["due_by"]),
        cadence=body["cadence"],
        incident=body["incident"],
        who=body["who"],
        description=body["description"],
        reminded=body["reminded"],
        overdue_since=datetime.fromisoformat(body["overdue_since"]) if body["overdue_since"] else None,
        closed_at=record.closed_at,
        given_by=body["by"],
        note=body["note"],
        link=body["link"],
        dropped=body["dropped"],
        withdrawn=tuple(body["withdrawn"]),
        about=body.get("about", ""),  # not written by former versions
    )


def _closed(request: Request) -> AttestationError:
    at = f"{request.closed_at:%Y-%m-%d %H:%M} UTC" if request.closed_at else ""
    if request.given_by:
        return AttestationError(f"{request.id} was given by {request.given_by} at {at} already")
    return AttestationError(f"{request.id} is not asked for any more", request.dropped)


def _notice_id(requests: Sequence[Request], *, again: bool) -> str:
    first = requests[0]
    if not again and len(requests) == 1:
        return f"{first.id}/asked"
    all_ = "|".join(f"{r.id}:{r.reminded}" for r in requests)
    return f"{first.id}/{'again' if again else 'asked'}-{blake2s(all_.encode(), digest_size=4).hexdigest()}"


def _one(request: Request, zone: ZoneInfo, page: str) -> str:
    parts = [request.description] if request.description else []
    parts.append(f"Due by {_clock(request.due_by, zone)}{_who(request)}.")
    if request.overdue_since:
        parts.append(f"It was not done the last time: overdue since {_clock(request.overdue_since, zone)}.")
    if request.about:
        parts.append(request.about)
    if request.incident:
        parts.append(f"There is {_draft(request, page)}.")
    parts.append(f"Sign for it on its page, or: `healthd attest {request.id}`")
    return "\n\n".join(parts)


def _line(request: Request, zone: ZoneInfo, page: str) -> str:
    again = ", not done the last time" if request.overdue_since else ""
    due = f"due by {_clock(request.due_by, zone)}{again}"
    draft = f"; {_draft(request, page)}" if request.incident else ""
    return f"- {request.title}{_who(request)}, {due}: `healthd attest {request.id}`{draft}"


def _draft(request: Request, page: str) -> str:
    """Where the post-mortem's draft is: a link where people can reach the page, and the command."""
    text, command = "a filled-in draft", f"`healthd postmortem {request.incident}`"
    link = f"[{text}]({page.rstrip('/')}/api/v1/incidents/{request.incident}/postmortem)" if page else text
    return f"{link}, also from {command}"


def _about(incident: Incident) -> str:
    """What a post-mortem is to be about, for those who have to place it."""
    took = (incident.resolved_at or incident.opened_at) - incident.opened_at
    parts = [incident.severity, f"open for {format_duration(max(0, round(took.total_seconds())))}"]
    if incident.reopened:
        parts.append(f"reopened {'once' if incident.reopened == 1 else f'{incident.reopened} times'}")
    if incident.acknowledged_by:
        parts.append(f"acknowledged by {incident.acknowledged_by}")
    elif not incident.reopened:  # then nobody had to acknowledge it once more
        parts.append("acknowledged by nobody")
    return f"{', '.join(part for part in parts if part)}: {incident.reason}"


def _when(request: Request, zone: ZoneInfo) -> str:
    length = format_duration((request.due_by - request.asked_at).total_seconds())
    since = f", overdue since {_clock(request.overdue_since, zone)}" if request.overdue_since else ""
    return f"asked for {_clock(request.asked_at, zone)}, due within {length}{since}"


def _who(request: Request) -> str:
    return f" ({request.who})" if request.who else ""


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
