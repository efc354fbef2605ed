"""Each documented item with what covers it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from healthd.coverage.covers import covers_of
from healthd.coverage.figures import other_figures
from healthd.coverage.limits import compare
from healthd.coverage.result import Cover, Coverage, CoveredItem, Dangling, DocumentCoverage, State
from healthd.model.catalogue import Catalogue
from healthd.model.runbook import Document, Fate, Item

_ARTICLE = {Fate.ATTESTATION: "an"}


def coverage(catalogue: Catalogue, systems: Iterable[str] = ()) -> Coverage:
    """The coverage of these systems (default: all). An item may be covered by anything of any system.

    KeyError for a system that does not exist.
    """
    chosen = [catalogue.systems[name] for name in systems] or list(catalogue.systems.values())
    covers = {system.name: tuple(covers_of(system)) for system in catalogue.systems.values()}
    by_item = _by_item(cover for found in covers.values() for cover in found)
    known = [
        f"{document.name}/{item.id}"
        for system in catalogue.systems.values()
        for document in system.runbook.documents
        for item in document.items
    ]
    return Coverage(
        documents=tuple(
            _document(system.name, document, by_item) for system in chosen for document in system.runbook.documents
        ),
        dangling=_dangling((cover for system in chosen for cover in covers[system.name]), known),
        unindexed=tuple(system.name for system in chosen if not system.runbook.documents),
    )


def _by_item(covers: Iterable[Cover]) -> Mapping[str, list[Cover]]:
    found: dict[str, list[Cover]] = defaultdict(list)
    for cover in covers:
        for reference in dict.fromkeys(cover.covers):
            found[reference].append(cover)
    return found


def _dangling(covers: Iterable[Cover], known: list[str]) -> tuple[Dangling, ...]:
    items = frozenset(known)
    return tuple(
        Dangling(reference, cover, next(iter(get_close_matches(reference, known, n=1)), ""))
        for cover in covers
        for reference in cover.covers
        if reference not in items
    )


def _document(system: str, document: Document, by_item: Mapping[str, list[Cover]]) -> DocumentCoverage:
    items = (
        _item(id_, item, by_item.get(id_, [])) for item in document.items for id_ in [f"{document.name}/{item.id}"]
    )
    return DocumentCoverage(system, document, tuple(items))


def _item(id_: str, item: Item, covers: list[Cover]) -> CoveredItem:
    fitting = [cover for cover in covers if cover.fate is item.fate]
    others = [cover for cover in covers if cover.fate is not item.fate]
    ordered = (*fitting, *others)
    if not fitting:
        return CoveredItem(id_, item, State.UNCOVERED, ordered, _uncovered(item, others))
    findings = compare(item.limits, ordered)
    problems = (*findings.problems, *_another_time(item, fitting, others), *_another_severity(item, fitting, others))
    problems += tuple(other_figures(item.figures, ordered)) if item.figures else ()
    sound = State.COVERED if any(cover.enabled for cover in fitting) else State.OFF
    return CoveredItem(id_, item, State.DIFFERS if problems else sound, ordered, problems, findings.decisions)


def _uncovered(item: Item, others: list[Cover]) -> tuple[str, ...]:
    wanted = f"{_ARTICLE.get(item.fate, 'a')} {item.fate}"
    if not others:
        return (f"nothing covers it; {wanted} should",)
    return (f"{wanted} should cover it, not only {', '.join(map(str, others))}",)


def _another_time(item: Item, fitting: list[Cover], others: list[Cover]) -> tuple[str, ...]:
    """A documented time that nothing of the item's fate keeps; where that has no times (a playbook), nothing else."""
    timed = _first(fitting, others, lambda cover: bool(cover.cadences) or cover.check is not None)
    if not item.cadence or not timed or any(item.cadence in cover.cadences for cover in timed):
        return ()
    found = ", ".join(f"{cover.name} at {' and '.join(cover.cadences) or 'times of its own'}" for cover in timed)
    return (f"documented for {item.cadence}, but {found}",)


def _another_severity(item: Item, fitting: list[Cover], others: list[Cover]) -> tuple[str, ...]:
    """A documented severity that nothing of the item's fate has; where that has none (a step), nothing else."""
    graded = _first(fitting, others, lambda cover: bool(cover.severities))
    if not item.severity or not graded or any(item.severity in cover.severities for cover in graded):
        return ()
    found = ", ".join(f"{cover.name} has {' and '.join(dict.fromkeys(cover.severities))}" for cover in graded)
    return (f"documented as {item.severity}, but {found}",)


def _first(fitting: list[Cover], others: list[Cover], asked: Callable[[Cover], bool]) -> list[Cover]:
    """Those to be asked: of the item's own fate, or else of the others."""
    return [cover for cover in fitting if asked(cover)] or [cover for cover in others if asked(cover)]
