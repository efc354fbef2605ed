"""What the looks of a playbook found: one result for each step, the findings among them, and what it all comes to.

Plain data, because it is stored with the incident and told in messages (message.py has the keys). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from healthd.evaluate.judge import describe
from healthd.incidents.lifecycle import Decision
from healthd.model.catalogue import FINDING_WORDS, Step
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.outcomes import Level, Measurement, Outcome, Verdict
from healthd.model.units import format_duration, format_value

# An incident is kept in memory and written whole: these keep a wild playbook from writing a wild one.
MAX_STEPS = 20
MAX_FINDINGS = 5
MAX_VALUES = 6
MAX_TEXT = 400
MAX_SUMMARY = 800
MAX_EVIDENCE = 1_200
MAX_ALL_EVIDENCE = 8_000

Result = dict[str, Any]  # what is stored of one, its finding, and what that is ranked by


def seen(step: Step, outcome: Outcome) -> Result:
    """The result of a step whose look ended."""
    if outcome.error_kind:
        return unseen(step, outcome.reason or outcome.error_kind, outcome)
    verdict = _finding(step, outcome)
    return _result(step, outcome.level, outcome.reason or _values(step, outcome)) | {
        "evidence": _evidence(outcome),
        "finding": _filled(step, step.finding, verdict, outcome) if verdict else "",
        "suggest": _fill(step.suggest, verdict) if verdict else "",
    }


def unseen(step: Step, why: str, outcome: Outcome | None = None) -> Result:
    """The result of a step that could not be looked at, or was not in time."""
    found = _result(step, Level.UNKNOWN, "")
    return found | {"error": _cut(why, MAX_TEXT), "evidence": _evidence(outcome) if outcome else ""}


def diagnosis(
    results: Sequence[Result], severity: str, at: datetime, seconds: float, symptoms: Collection[str] = ()
) -> dict[str, Any]:
    """Everything together, bounded. `severity` is the one the incident had, `seconds` how long all of it took.

    `symptoms` are the checks that fail in the incident, and those that depend on one of them: what they say is known
    already, or follows from it, and is no cause. It comes last, and only where the step has words of its own for it.
    """
    results = _bounded(results[:MAX_STEPS])
    found = [r for r in results if r["finding"] and (r["check"] not in symptoms or r["worded"])]
    found.sort(key=lambda r: (r["check"] in symptoms, r["level"] != Level.CRITICAL.name.lower()))
    return {
        "at": at.isoformat(),
        "seconds": round(seconds, 2),
        "severity": severity,
        "steps": len(results),
        "answered": sum(not r["error"] for r in results),
        "findings": [
            {"title": r["title"], "level": r["level"], "text": r["finding"], "command": r["suggest"]}
            for r in found[:MAX_FINDINGS]
        ],
        "results": [
            {key: r[key] for key in ("title", "level", "text", "evidence", "command", "error")} for r in results
        ],
    }


def diagnosed(incident: Incident, found: Mapping[str, Any], at: datetime) -> Decision:
    """Attach a diagnosis: people hear of it where it can be put with what they were told."""
    text = summary(found)
    return Decision(
        replace(incident, details={**incident.details, "diagnosis": dict(found)}),
        "updated",
        TimelineEntry(incident.id, at, "diagnosed", text),
        update={"kind": "diagnosed", "text": text},
        softly=True,
    )


def summary(found: Mapping[str, Any]) -> str:
    """ "diagnosed: 5 of 6 steps answered in 2.1s; Redis uses 97% of its memory"."""
    steps, answered = found["steps"], found["answered"]
    text = f"diagnosed: {answered} of {steps} step{'s' if steps != 1 else ''} answered"
    text += f" in {format_duration(found['seconds'])}"
    return _cut("; ".join([text, *(finding["text"] for finding in found["findings"])]), MAX_SUMMARY)


def _result(step: Step, level: Level, text: str) -> Result:
    return {
        "title": step.title, "level": level.name.lower(), "text": _cut(text, MAX_TEXT), "evidence": "",
        "command": step.command, "error": "", "finding": "", "suggest": "", "check": step.check,
        "worded": bool(step.finding),
    }  # fmt: skip


def _finding(step: Step, outcome: Outcome) -> Verdict | None:
    """The worst verdict that is not in order; not one for want of a value."""
    bad = (v for v in outcome.verdicts if v.level in (Level.WARNING, Level.CRITICAL))
    return max(bad, key=lambda v: (v.level.badness, v.row in step.rows), default=None)


def _filled(step: Step, template: str, verdict: Verdict, outcome: Outcome) -> str:
    """The finding in its author's words; in the judge's where there are none, or none for this row: what is said of a
    value is not meant for a server that does not answer."""
    meant = verdict.row in step.rows if step.rows else verdict.measure != "up"
    if template and meant:
        return _cut(_fill(template, verdict), MAX_TEXT)
    return _cut(f"{step.title.rstrip('?')}: {outcome.reason or describe(verdict)}", MAX_TEXT)


def _fill(template: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    value = "missing" if verdict.value is None else format_value(verdict.value, verdict.unit)
    words = dict(zip(FINDING_WORDS, (value, verdict.series, verdict.limit, verdict.measure), strict=True))
    for word, text in words.items():
        template = template.replace(f"{{{word}}}", text)
    return template


def _values(step: Step, outcome: Outcome) -> str:
    """What was measured, what is judged first: "ratio 3%, used 3 and 4 more"."""
    own = {v.measure for v in outcome.verdicts if v.row in step.rows}
    judged = {v.measure for v in outcome.verdicts}
    shown = [m for m in outcome.measurements if m.name != "up"] or list(outcome.measurements)
    shown.sort(key=lambda m: (m.name not in own, m.name not in judged, bool(m.series)))
    texts = [_value(m) for m in shown[:MAX_VALUES]]
    more = len(shown) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")


def _value(measurement: Measurement) -> str:
    name = f"{measurement.name} of {measurement.series}" if measurement.series else measurement.name
    return f"{name} {format_value(measurement.value, measurement.unit)}"


def _evidence(outcome: Outcome) -> str:
    pieces = (f"{e.title}:\n{e.text}" if e.title else e.text for e in outcome.evidence if e.text.strip())
    return _cut("\n\n".join(pieces), MAX_EVIDENCE)


def _bounded(results: Iterable[Result]) -> list[Result]:
    left, bounded = MAX_ALL_EVIDENCE, []
    for result in results:
        text = _cut(result["evidence"], left) if left > 0 else ""
        left -= len(text)
        bounded.append(result | {"evidence": text})
    return bounded


def _cut(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else text[: most - 1] + "…"
