"""A report as Markdown: whole, and as the summary that is sent to people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from healthd.model.inert import inert
from healthd.report.model import Growth, Item, Objective, Report, Value

SYMBOLS = {"critical": "🔴", "warning": "🟠", "unknown": "⚪", "missing": "⚪", "ok": "🟢"}
WORDS = {"ok": "OK", "missing": "not run"}
OPEN = ("due", "overdue")  # tasks that are still to be done
FIRST_ITEMS = 12  # that need attention, in a summary
FIRST_FIGURES = 20  # values of what is in order, in the summary of a report that gathers them


def headline(report: Report) -> str:
    """Such as "Morning checklist: 2 critical, 1 warning, 17 OK"."""
    return f"{report.title}: {_counts(report)}" if report.items else report.title


def summary(report: Report) -> str:
    """What fits in a message: counts, what needs attention, tasks, growth. Links are the channel's."""
    lines = [f"**{report.system_title}**, {_local(report.due, report.zone)}"]
    troubled = [item for item in report.items if item.level != "ok"]
    lines += [_line(item) for item in troubled[:FIRST_ITEMS]]
    if len(troubled) > FIRST_ITEMS:
        lines.append(f"and {len(troubled) - FIRST_ITEMS} more that need attention")
    if report.items and not troubled:
        lines.append("Everything that was looked at is in order.")
    lines += _figures(report)
    lines += [f"• To be done: {task.title} ({task.state})" for task in report.tasks if task.state in OPEN]
    lines += [f"• {_growing(growth)}" for growth in report.growth[:5]]
    lines += [f"• {_spent(objective)}" for objective in report.objectives if (objective.budget or 0) < 0]
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """The whole report."""
    parts = [_top(report), _items(report), _tasks(report), _events(report), _growth(report), _objectives(report)]
    if report.links:
        parts.append("Links: " + ", ".join(f"[{_cell(name)}]({url})" for name, url in report.links))
    return "\n\n".join(part for part in parts if part) + "\n"


def _top(report: Report) -> str:
    lines = [f"# {report.title}: {report.system_title}", "", f"{_local(report.due, report.zone)}. {_counts(report)}."]
    for section in report.sections:
        words = [section.description, f"For {section.who}." if section.who else ""]
        lines += ["", " ".join(word for word in words if word)]
    return "\n".join(lines).rstrip()


def _items(report: Report) -> str:
    if not report.items:
        return ""
    rows = [row for item in report.items for row in _item_rows(item)]
    return _table(("Status", "Check", "Value", "Limit", "Since last time"), rows)


def _item_rows(item: Item) -> Iterator[tuple[str, ...]]:
    status = f"{SYMBOLS[item.level]} {WORDS.get(item.level, item.level)}"
    title = f"{item.title} (`{item.check_id}`)"
    if item.reason:
        title += f": {item.reason}"
    changed = f"was {WORDS.get(item.before, item.before)}" if item.before and item.before != item.level else ""
    for index, value in enumerate(item.values or (None,)):
        first = index == 0
        change = "; ".join(part for part in (changed if first else "", value.change if value else "") if part)
        yield (
            status if first else "",
            title if first else "",
            _named(value) if value else "",
            value.limits if value else "",
            change,
        )


def _tasks(report: Report) -> str:
    if not report.tasks:
        return ""
    rows = [
        (task.state, task.title, task.by or task.who, _local(task.due, report.zone) if task.due else "")
        for task in report.tasks
    ]
    return "## Done by people\n\n" + _table(("State", "Task", "Who", "Due"), rows)


def _events(report: Report) -> str:
    if not report.events:
        return ""
    rows = [
        (
            event.severity,
            f"{event.title} (`{event.incident_id}`)",
            _local(event.opened_at, report.zone),
            _local(event.resolved_at, report.zone) if event.resolved_at else "open",
        )
        for event in report.events
    ]
    return "## Incidents since last time\n\n" + _table(("Severity", "Incident", "Opened", "Resolved"), rows)


def _growth(report: Report) -> str:
    if not report.growth:
        return ""
    rows = [
        (f"{g.title}: {_measure(g.measure, g.series)}", g.now, g.change, f"{g.limit} ({g.level})", _in(g.days))
        for g in report.growth
    ]
    return "## Growth\n\n" + _table(("What", "Now", "Change", "Limit", "Reached"), rows)


def _objectives(report: Report) -> str:
    if not report.objectives:
        return ""
    periods = [f"{days} days" for days, _ in report.objectives[0].ratios]
    rows = [
        (o.title, *(share_text(share) for _, share in o.ratios), share_text(o.target), budget_text(o.budget))
        for o in report.objectives
    ]
    return "## Availability\n\n" + _table(("Check", *periods, "Objective", "Error budget left"), rows)


def _figures(report: Report) -> list[str]:
    """The numbers that the runbook wants gathered, of what is in order."""
    gathered = {check for section in report.sections for check in section.checks}
    found = [
        f"• {item.title}: {_named(value)}" + (f" ({value.change})" if value.change else "")
        for item in report.items
        if item.check_id in gathered and item.level == "ok"
        for value in item.values[:3]
    ]
    return found[:FIRST_FIGURES]


def _line(item: Item) -> str:
    words = "; ".join(
        _named(value) + (f" ({value.limits})" if value.limits else "")
        for value in [v for v in item.values if v.level != "ok"][:2]
    )
    return f"{SYMBOLS[item.level]} {item.title}: {words or inert(item.reason)}"


def _counts(report: Report) -> str:
    if not report.items:
        return "nothing to look at"
    return ", ".join(f"{count} {WORDS.get(level, level)}" for level, count in report.counts.items())


def _named(value: Value) -> str:
    return inert(f"{_measure(value.measure, value.series)} {value.text}")


def _measure(measure: str, series: str) -> str:
    return f"{measure} of {series}" if series else measure


def _growing(growth: Growth) -> str:
    what = f"{growth.title}: {_measure(growth.measure, growth.series)}"
    return f"{what} reaches {growth.limit} {_in(growth.days)} ({growth.now} now, {growth.change})"


def _spent(objective: Objective) -> str:
    return f"{objective.title}: the error budget is spent ({budget_text(objective.budget)} left)"


def share_text(share: float | None) -> str:
    """99.95 %, with as many digits as tell it from 100 %; a dash for none."""
    if share is None:
        return "–"
    text = f"{share * 100:.3f}".rstrip("0").rstrip(".")
    return f"{text} %"


def budget_text(budget: float | None) -> str:
    """-150 %, 42 %; a dash for none."""
    return "–" if budget is None else f"{budget:.0%}".replace("%", " %")


def _in(days: float) -> str:
    if days < 1:
        return "within a day"
    return f"in {days:.0f} day{'' if round(days) == 1 else 's'}"


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    heads = tuple(heads)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return inert(text).replace("\\", "\\\\").replace("|", "\\|")
