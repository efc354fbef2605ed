"""What the answer was expected to be, and the measures taken out of it. Pure: an answer in, findings out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from healthd.model.outcomes import Measurement
from healthd.model.units import Unit, UnitError, format_value
from healthd.probes.http.params import Extraction, HttpParams
from healthd.probes.json_path import parse_json_path
from healthd.probes.patterns import search
from healthd.probes.scale import scaled


class Answered(Protocol):
    """The part of an answer that is judged."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def cut(self) -> bool: ...


@dataclass(slots=True)
class Findings:
    """`problems` make the check fail; `gaps` are wanted measures that are not there."""

    problems: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)


def looks(params: HttpParams, answer: Answered) -> Iterator[tuple[str, int]]:
    """The patterns that `examine` looks for, and in how many characters at most."""
    for name, pattern in params.expect_headers.items():
        yield pattern, len(answer.headers.get(name, ""))
    for body_pattern in (params.body_pattern, params.body_not_pattern):
        if body_pattern is not None:
            yield body_pattern, len(answer.body)


def examine(params: HttpParams, answer: Answered) -> Findings:
    """Hold the answer against everything the parameters expect, and extract what they ask for.

    May block for seconds where a pattern is costly: see `looks` and `apart_if_costly`. Raises ProbeError then.
    """
    found = Findings()
    if not any(low <= answer.status <= high for low, high in params.status):
        found.problems.append(f"status {answer.status}, expected {_statuses(params)}")
    if params.expect_headers:
        found.problems.extend(_header_problems(params, answer))
    if params.watches_body:
        problems = list(_body_problems(params, answer))
        found.problems.extend(problems)
        found.measurements.append(Measurement("body_match", 0.0 if problems else 1.0, Unit.COUNT))
    if params.extract_headers:
        _extract_headers(params, answer, found)
    if params.needs_json:
        _examine_json(params, answer, found)
    return found


def _statuses(params: HttpParams) -> str:
    def text(low: int, high: int) -> str:
        if low == high:
            return str(low)
        return f"{low // 100}xx" if (low % 100, high - low) == (0, 99) else f"{low}-{high}"

    return " or ".join(text(low, high) for low, high in params.status)


def _header_problems(params: HttpParams, answer: Answered) -> Iterator[str]:
    for name, pattern in params.expect_headers.items():
        value = answer.headers.get(name)
        if value is None:
            yield f"no {name} header"
        elif search(pattern, value) is None:
            yield f"the {name} header is {_short(value)}, expected to match {pattern!r}"


def _body_problems(params: HttpParams, answer: Answered) -> Iterator[str]:
    text = decode(answer)
    if params.body_pattern is not None and search(params.body_pattern, text) is None:
        yield f"the body does not match {params.body_pattern!r}" + _within(answer)
    if params.body_not_pattern is not None and (hit := search(params.body_not_pattern, text)):
        yield f"the body holds {_short(hit[0])}, which {params.body_not_pattern!r} forbids"


def _within(answer: Answered) -> str:
    return f" within its first {format_value(len(answer.body), Unit.BYTES)}" if answer.cut else ""


def decode(answer: Answered) -> str:
    """The body as text, whatever bytes it holds."""
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", answer.headers.get("Content-Type", ""), re.IGNORECASE)
    try:
        return answer.body.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


def _extract_headers(params: HttpParams, answer: Answered, found: Findings) -> None:
    for name, header in params.extract_headers.items():
        value = answer.headers.get(header)
        if value is None:
            found.gaps.append(f"no {header} header")
        else:
            found.measurements.append(Measurement(name, _number_or_word(value)))


def _number_or_word(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _examine_json(params: HttpParams, answer: Answered, found: Findings) -> None:
    if answer.cut:
        size = format_value(len(answer.body), Unit.BYTES)
        found.problems.append(f"the body is longer than {size}: its JSON was cut and cannot be read")
        return
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        found.problems.append("the body is not JSON" if answer.body.strip() else "the body is empty, expected JSON")
        return
    for path, condition in params.expect_json.items():
        found.problems.extend(json_problems(path, condition, document))
    for name, extraction in params.extract.items():
        _extract(name, extraction, document, found)


def json_problems(path: str, condition: Any, document: Any, where: str = "the body") -> Iterator[str]:
    """What keeps a document from being as expected: every match of the path must hold, and there must be one."""
    matches = parse_json_path(path).find(document)
    if not matches:
        yield f"no {path} in {where}"
    for match in matches:
        value = _scalar(match.value)
        spot = f"{path} ({'/'.join(match.keys)})" if match.keys else path
        if value is None:
            yield f"{spot} is {_kind(match.value)}, expected {condition}"
            continue
        try:
            holds = condition.holds(value)
        except UnitError:
            holds = False
        if not holds:
            yield f"{spot} is {_short(match.value)}, expected {condition}"


def _extract(name: str, extraction: Extraction, document: Any, found: Findings) -> None:
    matches = extraction.path.find(document)
    if not matches:
        found.gaps.append(f"no {extraction.path} in the body")
    for match in matches:
        series = "/".join(match.keys)
        if extraction.series is not None and isinstance(match.element, dict):
            series = str(match.element.get(extraction.series, series))
        value = _scalar(match.value)
        if value is None:
            found.gaps.append(f"{extraction.path} is {_kind(match.value)}")
        elif isinstance(value, str):
            found.measurements.append(Measurement(name, value, Unit.TEXT, series))
        else:
            number, unit = scaled(value, extraction.unit) if extraction.unit is not None else (value, None)
            found.measurements.append(Measurement(name, number, unit, series))


def _scalar(value: Any) -> float | str | None:
    """Numbers as they are, words as they are, true and false as 1 and 0 (as conditions read them), else None."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else "not a finite number"


def _short(value: Any, most: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}..."
