"""Documented times, response times, escalation and notice against those of what covers the item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from healthd.coverage.result import Cover
from healthd.model.catalogue import Rule
from healthd.model.runbook import Figures
from healthd.model.units import format_duration


def other_figures(figures: Figures, covers: Iterable[Cover]) -> Iterator[str]:
    """What is not as documented: figures that nothing which covers the item has, or that are others there."""
    found = list(covers)
    for key, documented in figures.durations.items():
        held = [cover for cover in found if key in cover.durations]
        said = f"{key} is documented as {format_duration(documented.total_seconds())}"
        if not held:
            yield f"{said}, and nothing that covers it says so"
        others = [cover for cover in held if cover.durations[key] != documented]
        if others:
            named = (f"{cover} has {format_duration(cover.durations[key].total_seconds())}" for cover in others)
            yield f"{said}, but {', '.join(named)}"
    if figures.rule is not None:
        yield from _other_times(figures, figures.rule, found)


def _other_times(figures: Figures, documented: Rule, covers: Iterable[Cover]) -> Iterator[str]:
    wanted = _meaning(documented, figures.days_only)
    cadences = [cover.cadence for cover in covers if cover.cadence is not None]
    if not cadences:
        yield f"documented as {figures.times}, and no cadence covers it"
    others = [cadence for cadence in cadences if _meaning(cadence.rule, figures.days_only) != wanted]
    if others:
        named = dict.fromkeys(f"{cadence.name} is {_written(cadence.text, cadence.rule)}" for cadence in others)
        yield f"documented as {_written(figures.times, documented)}, but {', '.join(named)}"


def _meaning(rule: Rule, days_only: bool) -> object:
    """Equal for rules that fire at the same times, or on the same days; an interval is the same in every zone."""
    if rule.every is not None:
        return rule.every
    return rule.zone.key, frozenset(tuple(cron.split())[2 if days_only else 0 :] for cron in rule.crons)


def _written(text: str, rule: Rule) -> str:
    return text if rule.is_interval else f"{text} ({rule.zone.key})"
