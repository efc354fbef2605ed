"""Coverage for programs (JSON), for a repository (Markdown) and for a browser (HTML)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from healthd.coverage.result import Coverage, CoveredItem, Dangling, DocumentCoverage, State
from healthd.model.runbook import Figures, Limit

_MARKS = {State.COVERED: "✓", State.OFF: "–", State.DIFFERS: "≠", State.UNCOVERED: "✗"}
_LEVELS = ("target", "acceptable", "warning", "critical")
_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .3rem .6rem }
tr { border-top: 1px solid #ddd } code { font-size: 90% } .problem { color: #a40000 } .decided { color: #555 }
.covered { color: #1a7f37 } .off { color: #666 } .differs, .uncovered { color: #a40000; font-weight: 600 }
"""


def as_json(coverage: Coverage) -> dict[str, Any]:
    """Everything, in stable keys."""
    return {
        "complete": coverage.is_complete,
        "counts": {"items": len(coverage.items), **{state.value: coverage.count(state) for state in State}},
        "documents": [
            {
                "document": part.document.name,
                "title": part.document.title,
                "system": part.system,
                "url": part.document.url,
                "items": [_item_json(item) for item in part.items],
            }
            for part in coverage.documents
        ],
        "dangling": [
            {"reference": d.reference, "by": str(d.by), "source": str(d.by.source or ""), "nearest": d.nearest}
            for d in coverage.dangling
        ],
        "unindexed": list(coverage.unindexed),
    }


def _item_json(covered: CoveredItem) -> dict[str, Any]:
    item = covered.item
    return {
        "id": covered.id,
        "heading": item.heading,
        "title": item.title,
        "fate": item.fate.value,
        "cadence": item.cadence,
        "severity": item.severity,
        "expect": item.expect,
        "limits": [_limit_json(limit) for limit in item.limits],
        "figures": _figures_json(item.figures) if item.figures else {},
        "note": item.note,
        "state": covered.state.value,
        "covered_by": [
            {"kind": c.kind, "name": c.name, "cadences": list(c.cadences), "enabled": c.enabled} for c in covered.covers
        ],
        "problems": list(covered.problems),
        "decisions": list(covered.decisions),
        "source": str(item.source),
    }


def _limit_json(limit: Limit) -> dict[str, Any]:
    return {
        **({"row": limit.row} if limit.row else {"measure": limit.measure} if limit.measure else {}),
        **{level: condition.text for level in _LEVELS if (condition := getattr(limit, level))},
        **({"for": limit.for_.total_seconds()} if limit.for_ is not None else {}),
        "decided": limit.decided,
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    times = {"times": figures.times} if figures.times else {}
    return times | {key: duration.total_seconds() for key, duration in figures.durations.items()}


def summary(coverage: Coverage) -> str:
    """One line: how many items there are, and how it stands with them."""
    if not coverage.documents:
        return "no documented items: no system has a runbook section"
    counts = [f"{count} {state}" for state in State if (count := coverage.count(state))]
    dangling = [f"{len(coverage.dangling)} covers of items that do not exist"] if coverage.dangling else []
    return f"{len(coverage.items)} documented items: " + ", ".join([*counts, *dangling])


def dangling_line(dangling: Dangling) -> str:
    """What covers something that does not exist, where, and what was probably meant."""
    place = f"{dangling.by.source}: " if dangling.by.source else ""
    hint = f"; did you mean {dangling.nearest!r}?" if dangling.nearest else ""
    return f"{place}{dangling.by} covers {dangling.reference!r}, which no document has{hint}"


def as_markdown(coverage: Coverage) -> str:
    """A table for each heading of each document."""
    lines = ["# Coverage", "", summary(coverage), ""]
    for part in coverage.documents:
        lines += [f"## {part.document.title}", "", _tally(part), ""]
        for heading, items in part.by_heading():
            lines += [f"### {heading}", "", "| | item | documented | cadence | covered by |", "| - | - | - | - | - |"]
            lines += [_markdown_row(item) for item in items]
            lines.append("")
    if coverage.dangling:
        lines += ["## Covers of items that do not exist", ""]
        lines += [f"- {dangling_line(dangling)}" for dangling in coverage.dangling] + [""]
    return "\n".join(lines)


def _markdown_row(covered: CoveredItem) -> str:
    item = covered.item
    by = [str(cover) for cover in covered.covers] + [f"**{p}**" for p in covered.problems]
    by += [f"*decided: {reason}*" for reason in covered.decisions]
    documented = f"{item.title}<br>{item.expect}" if item.expect else item.title
    cells = (_MARKS[covered.state], f"`{item.id}`", documented, item.cadence or "-", "<br>".join(by))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_html(coverage: Coverage) -> str:
    """One page that needs nothing else."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Coverage</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>Coverage</h1><p>{escape(summary(coverage))}</p>",
    ]
    for part in coverage.documents:
        parts.append(f"<h2>{escape(part.document.title)}</h2><p>{escape(_tally(part))}</p>")
        for heading, items in part.by_heading():
            rows = "".join(_html_row(item) for item in items)
            head = "<tr><th><th>item<th>documented<th>cadence<th>covered by</tr>"
            parts.append(f"<h3>{escape(heading)}</h3><table>{head}{rows}</table>")
    if coverage.dangling:
        parts.append("<h2>Covers of items that do not exist</h2>")
        parts.append(_html_list(map(dangling_line, coverage.dangling), "problem"))
    return "\n".join([*parts, "</html>"])


def _html_row(covered: CoveredItem) -> str:
    item = covered.item
    expect = f"<br><small>{escape(item.expect)}</small>" if item.expect else ""
    by = "<br>".join(escape(str(cover)) for cover in covered.covers)
    by += _html_list(covered.problems, "problem") + _html_list(covered.decisions, "decided")
    state = covered.state
    cells: Sequence[str] = (
        f"<span class={state} title={state}>{_MARKS[state]}</span>",
        f"<code id='{escape(covered.id)}'>{escape(item.id)}</code>",
        f"{escape(item.title)}{expect}",
        escape(item.cadence or "-"),
        by,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _html_list(lines: Iterable[str], style: str) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul class={style}>{items}</ul>" if items else ""


def _tally(part: DocumentCoverage) -> str:
    wrong = sum(item.state.is_wrong for item in part.items)
    return f"{part.system}: {len(part.items)} items, {wrong} of them not covered as documented"
