"""Queries of Logs Insights, the common part: fields, filter, stats, sort, limit, joined by pipes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from healthd.sandbox.parts.aws.wire import Refusal

__all__ = ["Row", "run_insights"]

Row = dict[str, str]
_STEPS = re.compile(r"\|(?=(?:[^\"'/]|\"[^\"]*\"|'[^']*'|/(?:[^/\\]|\\.)*/)*$)")
_LIKE = re.compile(r"(@?\w+)\s+(not\s+)?like\s+(?:/((?:[^/\\]|\\.)*)/(i?)|[\"'](.*)[\"'])", re.IGNORECASE)
_EQUAL = re.compile(r"(@?\w+)\s*(!?=)\s*[\"']?(.*?)[\"']?")
_PARSE = re.compile(r"(@?\w+)\s+[\"'](.*)[\"']\s+as\s+(.*)", re.IGNORECASE)
_STATS = re.compile(r"count\(\s*[*@\w]*\s*\)(?:\s+as\s+(\w+))?(?:\s+by\s+(@?\w+))?", re.IGNORECASE)


@dataclass(slots=True)
class _Result:
    rows: list[Row]
    matched: int
    shown: Sequence[str] = field(default=("@timestamp", "@message"))
    limit: int = 1000


def run_insights(query: str, events: Sequence[tuple[int, str]]) -> tuple[list[Row], int]:
    """The rows of a query over (milliseconds, message), and how many events its filters let through.

    Raises Refusal (MalformedQueryException) for what it does not know.
    """
    rows = [{"@timestamp": _stamp(at), "@message": message} for at, message in events]
    result = _Result(rows, len(rows))
    for step in (part.strip() for part in _STEPS.split(query)):
        word, _, rest = step.partition(" ")
        if word not in _COMMANDS:
            raise Refusal("MalformedQueryException", f"unexpected symbol found {word}")
        _COMMANDS[word](result, rest.strip())
    return [{name: row[name] for name in result.shown if name in row} for row in result.rows[: result.limit]], (
        result.matched
    )


def _fields(result: _Result, rest: str) -> None:
    result.shown = [name.strip() for name in rest.split(",")]


def _filter(result: _Result, rest: str) -> None:
    keeps = [_condition(part.strip()) for part in re.split(r"\s+and\s+", rest, flags=re.IGNORECASE)]
    result.rows = [row for row in result.rows if all(keep(row) for keep in keeps)]
    result.matched = len(result.rows)


def _condition(text: str) -> Callable[[Row], bool]:
    if like := _LIKE.fullmatch(text):
        name, negated, expression, ignore, literal = like.groups()
        pattern = re.compile(expression or re.escape(literal or ""), re.IGNORECASE if ignore else 0)
        return lambda row: (pattern.search(row.get(name, "")) is not None) != bool(negated)
    if equal := _EQUAL.fullmatch(text):
        name, sign, literal = equal.groups()
        return lambda row: (row.get(name) == literal) == (sign == "=")
    raise Refusal("MalformedQueryException", f"unexpected filter {text}")


def _parse(result: _Result, rest: str) -> None:
    found = _PARSE.fullmatch(rest)
    if found is None:
        raise Refusal("MalformedQueryException", f"unexpected parse {rest}")
    names = [name.strip() for name in found[3].split(",")]
    pattern = re.compile(re.escape(found[2]).replace(r"\*", "(.*?)") + ("$" if found[2].endswith("*") else ""))
    for row in result.rows:
        if values := pattern.search(row.get(found[1], "")):
            row.update(zip(names, values.groups(), strict=False))


def _stats(result: _Result, rest: str) -> None:
    found = _STATS.fullmatch(rest)
    if found is None:
        raise Refusal("MalformedQueryException", f"unexpected stats {rest}")
    called, by = found[1] or "count(*)", found[2]
    counts: dict[str, int] = {}
    for row in result.rows:
        key = row.get(by, "") if by else ""
        counts[key] = counts.get(key, 0) + 1
    result.rows = [{**({by: key} if by else {}), called: str(count)} for key, count in counts.items()]
    result.shown = [*([by] if by else []), called]


def _sort(result: _Result, rest: str) -> None:
    name, _, order = rest.partition(" ")
    result.rows.sort(key=lambda row: _number(row.get(name, "")), reverse=order.strip().lower() == "desc")


def _number(text: str) -> tuple[float, str]:
    return (float(text), "") if fnmatchcase(text, "[0-9]*") and text.replace(".", "", 1).isdigit() else (0.0, text)


def _limit(result: _Result, rest: str) -> None:
    result.limit = int(rest)


_COMMANDS: dict[str, Callable[[_Result, str], None]] = {
    "fields": _fields, "display": _fields, "filter": _filter, "parse": _parse, "stats": _stats, "sort": _sort,
    "limit": _limit,
}  # fmt: skip


def _stamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{milliseconds % 1000:03}"
