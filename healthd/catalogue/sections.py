"""The sections of all of a system's files, merged; whatever is written twice is refused with both places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from healthd.catalogue.nodes import Mapping, Node, Scalar, Sequence, describe
from healthd.catalogue.problems import Problem, did_you_mean

DECLARED = ("attestations", "reports", "contacts", "windows", "escalation")
NAMED = ("severities", "cadences", "thresholds", "playbooks", "channels", *DECLARED)
LISTED = ("checks", "routes", "runbook")
MERGED = ("system", "defaults")
SECTIONS = (*MERGED, *NAMED, *LISTED)
_DEEP = "defaults.probe"  # parameters per probe type are merged one by one
SHARED_SECTIONS = ("channels", "routes")


@dataclass(frozen=True, slots=True)
class Entry:
    """A named definition: its key (for the line) and its body."""

    key: Scalar
    body: Node


@dataclass(slots=True)
class Sections:
    """Everything one folder says, by section. `complete` is False when a file could not be read."""

    folder: Path
    shared: bool = False
    complete: bool = True
    system: Mapping = field(default_factory=lambda: Mapping("", 0))
    defaults: Mapping = field(default_factory=lambda: Mapping("", 0))
    named: dict[str, dict[str, Entry]] = field(default_factory=lambda: {section: {} for section in NAMED})
    checks: list[Mapping] = field(default_factory=list)
    routes: list[Mapping] = field(default_factory=list)
    runbook: list[Mapping] = field(default_factory=list)


def gather(folder: Path, roots: Iterable[Mapping | None], shared: bool, problems: list[Problem]) -> Sections:
    """Merge the files' sections. `None` stands for a file that could not be read."""
    sections = Sections(folder, shared)
    for root in roots:
        if root is None:
            sections.complete = False
            continue
        for key, body in root.pairs:
            _add(sections, key, body, problems)
    _lift_severities(sections, problems)
    return sections


def _add(sections: Sections, key: Scalar, body: Node, problems: list[Problem]) -> None:
    section = key.text
    if section.startswith("x-"):
        return
    known = SHARED_SECTIONS if sections.shared else SECTIONS
    if section not in known:
        problems.append(_unknown(section, key, sections))
    elif isinstance(body, Scalar) and body.plain and body.text in ("", "~", "null"):
        return
    elif section in LISTED:
        _add_list(sections, key, body, problems)
    elif not isinstance(body, Mapping):
        problems.append(_wrong_kind(key, "a mapping", body))
    elif section in NAMED:
        _add_named(sections.named[section], section, body, problems)
    else:
        _merge(getattr(sections, section), section, body, problems)


def _unknown(section: str, key: Scalar, sections: Sections) -> Problem:
    if section in SECTIONS:
        message = f"section {section!r} belongs to one system, into a folder with a system.yaml"
        return Problem(key.file, key.line, message, f"files above the systems may hold {' and '.join(SHARED_SECTIONS)}")
    hint = did_you_mean(section, SECTIONS, "sections")
    return Problem(key.file, key.line, f"unknown section {section!r}", f"{hint} (keys that begin with x- are ignored)")


def _wrong_kind(key: Scalar, expected: str, body: Node) -> Problem:
    return Problem(key.file, key.line, f"{key.text}: expected {expected}, got {describe(body)}")


def _add_list(sections: Sections, key: Scalar, body: Node, problems: list[Problem]) -> None:
    if not isinstance(body, Sequence):
        problems.append(_wrong_kind(key, "a list", body))
        return
    target: list[Mapping] = getattr(sections, key.text)
    for item in body.items:
        if isinstance(item, Mapping):
            target.append(item)
        else:
            problems.append(Problem(item.file, item.line, f"{key.text}: expected a mapping, got {describe(item)}"))


def _add_named(known: dict[str, Entry], section: str, body: Mapping, problems: list[Problem]) -> None:
    for key, value in body.pairs:
        first = known.setdefault(key.text, Entry(key, value))
        if first.key is not key:
            problems.append(duplicate(f"{section}: {key.text!r}", key, first.key))


def _merge(target: Mapping, section: str, body: Mapping, problems: list[Problem]) -> None:
    if not target.line:
        target.file, target.line = body.file, body.line
    for key, value in body.pairs:
        first, known = target.key(key.text), target.get(key.text)
        if first is None:
            target.pairs.append((key, value))
        elif f"{section}.{key.text}".startswith(_DEEP) and isinstance(known, Mapping) and isinstance(value, Mapping):
            merged = Mapping(known.file, known.line, list(known.pairs))
            _merge(merged, f"{section}.{key.text}", value, problems)
            target.pairs = [(k, merged if k is first else v) for k, v in target.pairs]
        else:
            problems.append(duplicate(f"{section}: {key.text!r}", key, first))


def duplicate(what: str, second: Node, first: Node) -> Problem:
    """The same thing defined twice."""
    return Problem(second.file, second.line, f"{what} is defined twice", f"first in {first.file}:{first.line}")


def _lift_severities(sections: Sections, problems: list[Problem]) -> None:
    """Severities written inside `system` are the section of that name."""
    key, body = sections.system.key("severities"), sections.system.get("severities")
    if key is None:
        return
    sections.system.pairs = [pair for pair in sections.system.pairs if pair[0] is not key]
    if isinstance(body, Mapping):
        _add_named(sections.named["severities"], "severities", body, problems)
    else:
        problems.append(_wrong_kind(key, "a mapping", body or key))
