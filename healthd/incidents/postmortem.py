"""A post-mortem begun: everything healthd knows of an incident, in Markdown, and room for what only people know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from healthd.incidents.clocks import Clocks
from healthd.incidents.lifecycle import SINCE
from healthd.model.catalogue import Check, Severity, System
from healthd.model.incidents import Incident, Member, TimelineEntry
from healthd.model.inert import inert
from healthd.model.units import format_duration

TO_FILL = "_to be filled in_"
MAX_MEMBERS = 50
MAX_ENTRIES = 500
MAX_EVIDENCE = 3_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a draft is made of. `within`: how soon after its end the post-mortem is asked for, None when it is not."""

    incident: Incident
    system: System
    severity: Severity
    members: Sequence[Member]
    timeline: Sequence[TimelineEntry]
    checks: Mapping[str, Check]
    url: str = ""
    within: timedelta | None = None


def draft(facts: Facts) -> str:
    """The draft, ending in a line feed. Times are in the system's time zone. Pure."""
    incident = facts.incident
    sections = (
        f"# Post-mortem: {inert(incident.title)}",
        "\n".join(_head(facts)),
        f"## Summary\n\n{TO_FILL}: what happened, in two or three sentences.",
        "\n".join(_impact(facts)),
        "\n".join(_timeline(facts)),
        "\n".join(_cause(facts)),
        "\n".join(_evidence(facts)),
        f"## Resolution\n\n{TO_FILL}: what brought it back to order.",
        f"## What went well\n\n- {TO_FILL}",
        f"## What went wrong\n\n- {TO_FILL}",
        f"## Where there was luck\n\n- {TO_FILL}",
        f"## Prevention\n\n- [ ] {TO_FILL}: what makes sure that it does not happen again",
        f"## Action items\n\n| action | owner | until | status |\n| --- | --- | --- | --- |\n| {TO_FILL} | | | |",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(facts: Facts) -> Iterator[str]:
    incident, severity = facts.incident, facts.severity
    end = incident.resolved_at
    name = severity.name + (f": {severity.title}" if severity.title else "")
    link = f"[{incident.id}]({facts.url})" if facts.url else incident.id
    times = f"{_clock(facts, incident.opened_at)} to {_clock(facts, end) if end else 'now: it is still open'}"
    rows = [
        ("System", facts.system.title),
        ("Severity", name),
        ("Date", f"{incident.opened_at.astimezone(facts.system.zone):%Y-%m-%d}"),
        ("Time", f"{times} ({facts.system.zone.key})"),
        ("Duration", _duration(end - incident.opened_at) if end else TO_FILL),
        ("Time to acknowledge", _acknowledged(facts)),
        ("Time to resolve", _duration(end - incident.opened_at) if end else TO_FILL),
        ("Escalated to", ", ".join(_levels(facts)) or "nobody"),
        ("Incident commander", incident.acknowledged_by or _last_owner(facts) or TO_FILL),
    ]
    if incident.reopened:
        rows.insert(5, ("Reopened", "once" if incident.reopened == 1 else f"{incident.reopened} times"))
    if facts.within is not None and end is not None:
        rows.append(("Post-mortem due", f"{(end + facts.within).astimezone(facts.system.zone):%Y-%m-%d %H:%M}"))
    yield "| | |"
    yield "| --- | --- |"
    yield f"| Incident | {link} |"
    yield from (f"| {title} | {_cell(text)} |" for title, text in rows)


def _acknowledged(facts: Facts) -> str:
    """The first time since it opened: what was done before it was reopened stands on the timeline alone."""
    incident = facts.incident
    text = incident.details.get(SINCE)
    newest = datetime.fromisoformat(text) if isinstance(text, str) else incident.acknowledged_at
    moments = [entry.at for entry in facts.timeline if entry.kind == "acknowledged"]
    first = min([*moments, *([newest] if newest else [])], default=None)
    asked = facts.severity.response
    wanted = f"{_duration(asked)} asked for" if asked else ""
    if first is None:
        return "never" + (f" ({wanted})" if wanted else "")
    late = facts.severity.name in Clocks.of(incident).late or any(e.kind == "unanswered" for e in facts.timeline)
    said = "; ".join(part for part in (wanted, "late" if late else "") if part)
    return _duration(first - incident.opened_at) + (f" ({said})" if said else "")


def _last_owner(facts: Facts) -> str:
    """Whoever had it before it was reopened, or the acknowledgement lapsed."""
    return next((entry.actor for entry in reversed(facts.timeline) if entry.kind == "acknowledged"), "")


def _levels(facts: Facts) -> list[str]:
    """Those that were told because nobody had acknowledged it, not whoever heard of its opening."""
    chain, zero = facts.system.runbook.escalation, timedelta(0)
    said = [entry.text for entry in facts.timeline if entry.kind == "escalated"]
    before = {lv.name for lv in chain if any(text.startswith(f"escalated to {lv.name},") for text in said)}
    late = {lv.name for lv in chain if (lv.after or {}).get(facts.severity.name, zero) > zero}
    reached = set(Clocks.of(facts.incident).levels) & late
    return [lv.name for lv in chain if lv.name in before | reached]


def _impact(facts: Facts) -> Iterator[str]:
    yield "## Impact"
    yield ""
    yield f"- Users affected: {TO_FILL}"
    yield f"- What they noticed: {TO_FILL}"
    yield f"- Data lost: {TO_FILL}"
    yield f"- Revenue: {TO_FILL}"
    yield f"- Agreements with customers broken: {TO_FILL}"
    if not facts.members:
        return
    yield ""
    yield "| failed check | at worst | from | to | reason |"
    yield "| --- | --- | --- | --- | --- |"
    for member in facts.members[:MAX_MEMBERS]:
        check = facts.checks.get(member.check_id)
        name = f"{check.title} (`{check.id}`)" if check else f"`{member.check_id}`"
        to = _clock(facts, member.recovered_at) if member.recovered_at else "still fails"
        peak = member.peak.name.lower()
        yield f"| {_cell(name)} | {peak} | {_clock(facts, member.since)} | {to} | {_cell(member.reason)} |"
    if len(facts.members) > MAX_MEMBERS:
        yield f"\nand {len(facts.members) - MAX_MEMBERS} more checks."
    if facts.incident.reopened:
        yield "\nThese are the times since it was reopened last; the timeline has those before."


def _timeline(facts: Facts) -> Iterator[str]:
    yield "## Timeline"
    yield ""
    yield "| time | what | who |"
    yield "| --- | --- | --- |"
    for entry in facts.timeline[:MAX_ENTRIES]:
        if entry.text:
            text = entry.text if entry.text.startswith(entry.kind) else f"{entry.kind}: {entry.text}"
            yield f"| {_clock(facts, entry.at)} | {_cell(text)} | {_cell(entry.actor)} |"
    if len(facts.timeline) > MAX_ENTRIES:
        yield f"\nand {len(facts.timeline) - MAX_ENTRIES} more."


def _cause(facts: Facts) -> Iterator[str]:
    yield "## Root cause"
    yield ""
    yield TO_FILL
    found = [f["text"] for f in (facts.incident.details.get("diagnosis") or {}).get("findings", ())]
    if found:
        yield ""
        yield "What the diagnosis found when it began:"
        yield ""
        yield from (f"- {inert(text)}" for text in found)
    playbook = facts.system.playbooks.get(facts.incident.playbook)
    if playbook is not None and playbook.likely_cause:
        yield ""
        yield f"What its playbook, {inert(playbook.title)}, expects: {inert(playbook.likely_cause)}."


def _evidence(facts: Facts) -> Iterator[str]:
    yield "## Evidence"
    yield ""
    yield f"- {inert(facts.incident.reason)}"
    for title, text in _pieces(facts):
        yield ""
        yield f"**{inert(title)}**"
        yield ""
        yield _code(text)


def _pieces(facts: Facts) -> Iterator[tuple[str, str]]:
    """What was seen of each check when it failed or got worse, then what the diagnosis saw."""
    for member in facts.members[:MAX_MEMBERS]:
        values = [f"{_value(v)}" for v in member.seen.get("values", ())]
        if values:
            yield f"Values of {member.check_id}", "\n".join(values)
        for piece in member.seen.get("evidence", ()):
            yield f"{piece['title'] or 'Evidence'} ({member.check_id})", piece["text"]
    for result in (facts.incident.details.get("diagnosis") or {}).get("results", ()):
        said = "\n".join(part for part in (result["error"] or result["text"], result["evidence"]) if part)
        if said:
            yield f"Diagnosis: {result['title']} ({result['level']})", said


def _value(value: Mapping[str, Any]) -> str:
    name = f"{value['measure']} {value['series']}".strip()
    return f"{name}: {value['text']} ({value['level']}{', limit ' + value['limit'] if value['limit'] else ''})"


def _clock(facts: Facts, at: datetime) -> str:
    """The time of day; with the date where it is not that of the opening."""
    local, opened = (moment.astimezone(facts.system.zone) for moment in (at, facts.incident.opened_at))
    return f"{local:%H:%M:%S}" if local.date() == opened.date() else f"{local:%Y-%m-%d %H:%M:%S}"


def _duration(time: timedelta) -> str:
    return format_duration(max(0, round(time.total_seconds())))


def _cell(text: str) -> str:
    """On one line, without what would end the cell."""
    return inert(text).replace("\\", "\\\\").replace("|", "\\|")


def _code(text: str) -> str:
    """A block whose fence is longer than any within."""
    text = text if len(text) <= MAX_EVIDENCE else text[: MAX_EVIDENCE - 1] + "…"
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text.strip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max(_runs(text), default=0)


def _runs(text: str) -> Iterable[int]:
    run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        yield run
