"""`files`: the files a glob finds, as one answer. Regular files only; pipes and devices are never opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import (
    Duration,
    Evidence,
    MeasureInfo,
    Measurement,
    Observation,
    OneOrMany,
    ProbeContext,
    ProbeError,
)
from healthd.probes.blocking import Stop, blocking_calls
from healthd.probes.files.integrity import SIDECAR, Inspection, inspect_checksum, inspect_files, inspect_gzip
from healthd.probes.files.pattern import Pattern, check_glob, make_pattern
from healthd.probes.files.search import Found, Search, SearchError, each_once
from healthd.probes.files.summary import Summary
from healthd.probes.paths import shown
from healthd.probes.patterns import search_all

Which = Literal["newest", "all"]
_SHOWN_PROBLEMS = 10
_SHARE_OF_TIMEOUT = 0.95


class FilesParams(base.Params):
    """Which files, and how closely to look."""

    glob: OneOrMany = Field(min_length=1, description="absolute glob or globs; {date:%Y-%m-%d} is today")
    match: str | None = Field(None, description="regular expression found in the file's name")
    min_age: Duration | None = Field(
        None, validation_alias=AliasChoices("min_age", "older_than"), description="leave out younger files"
    )
    max_age: Duration | None = Field(
        None, validation_alias=AliasChoices("max_age", "newer_than"), description="leave out older files"
    )
    gzip: Which | None = Field(None, description="read through: newest or all")
    checksum: Which | None = Field(None, description=f"compare with the {SIDECAR} file beside it: newest or all")
    unreadable: Literal["fail", "skip"] = Field("fail", description="folders below that may not be read")
    max_names: int = Field(100_000, ge=1, description="names to look at before giving up")

    @field_validator("glob")
    @classmethod
    def _usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_glob(glob) for glob in value)

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value


class FilesProbe:
    """Finds, adds up and, where asked to, reads through the files, in a thread that ends when the look is over."""

    Params: ClassVar[type[base.Params]] = FilesParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "files; 0 is an answer, not a failure"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest was changed; absent without files"),
        "oldest_age": MeasureInfo(Unit.SECONDS, "since the oldest was changed; absent without files"),
        "newest_size": MeasureInfo(Unit.BYTES, "of the newest; absent without files"),
        "smallest_size": MeasureInfo(Unit.BYTES, "of the smallest; absent without files"),
        "largest_size": MeasureInfo(Unit.BYTES, "of the largest; absent without files"),
        "total_size": MeasureInfo(Unit.BYTES, "of all together, holes in sparse files included"),
        "future_count": MeasureInfo(Unit.COUNT, "files dated more than a minute in the future (their age is 0)"),
        "gzip_valid": MeasureInfo(Unit.COUNT, "1 when what gzip names is whole, else 0; absent without files"),
        "checksum_valid": MeasureInfo(Unit.COUNT, "1 when the sums agree, else 0; absent without files"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = tuple(
        Threshold(measure=name, critical=parse_condition("= 0"), missing=Level.OK, name=name)
        for name in ("gzip_valid", "checksum_valid")
    )

    def measures_for(self, params: FilesParams) -> Mapping[str, MeasureInfo]:
        off = {name for name, on in (("gzip_valid", params.gzip), ("checksum_valid", params.checksum)) if not on}
        return {name: info for name, info in self.measures.items() if name not in off}

    async def run(self, params: FilesParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError: missing, forbidden (naming the folder), limit, timeout."""
        patterns = [make_pattern(glob, context.now.astimezone(context.zone)) for glob in params.glob]
        calls = await blocking_calls(context)
        seconds = context.timeout.total_seconds() * _SHARE_OF_TIMEOUT
        where = ", ".join(dict.fromkeys(pattern.base for pattern in patterns))
        try:
            look = await calls.call(f"files in {where}", lambda s: _look(params, patterns, context.now, s), seconds)
        except TimeoutError:
            raise ProbeError(_too_slow(where, params, seconds), "timeout") from None
        except SearchError as error:
            raise ProbeError(shown(str(error)), error.kind) from None
        except OSError as error:
            kind = "forbidden" if isinstance(error, PermissionError) else "error"
            raise ProbeError(f"cannot read {shown(str(error.filename))}: {error.strerror}", kind) from None
        return _observation(params, look)


@dataclass(slots=True)
class _Look:
    """What one walk saw. `problems` by measure: gzip_valid, checksum_valid."""

    summary: Summary
    search: Search
    problems: dict[str, list[str]] = field(default_factory=dict)


def _look(params: FilesParams, patterns: list[Pattern], now: datetime, stop: Stop) -> _Look:
    """In the thread."""
    look = _Look(Summary(now.timestamp()), Search(stop, params.max_names, params.unreadable == "skip"))
    every: list[str] = []
    for found in _chosen(params, patterns, look):
        look.summary.add(found)
        if "all" in (params.gzip, params.checksum):
            every.append(found.path)
    inspections: tuple[tuple[str, Which | None, Inspection], ...] = (
        ("gzip_valid", params.gzip, inspect_gzip),
        ("checksum_valid", params.checksum, inspect_checksum),
    )
    for name, which, inspect in inspections:
        if which and look.summary.count:
            paths, most = (sorted(every), None) if which == "all" else ([f.path for f in look.summary.newest], 1)
            inspected, problems = inspect_files(paths, inspect, stop, most)
            if inspected:  # else they all vanished meanwhile
                look.problems[name] = problems
    return look


def _chosen(params: FilesParams, patterns: list[Pattern], look: _Look) -> Iterator[Found]:
    match = re.compile(params.match) if params.match else None
    seen: set[str] = set()
    for pattern in patterns:
        for found in each_once(look.search.files(pattern), seen):
            age = look.summary.age(found)
            if params.checksum and found.path.endswith(SIDECAR):
                continue
            if params.min_age is not None and age < params.min_age.total_seconds():
                continue
            if params.max_age is not None and age > params.max_age.total_seconds():
                continue
            if match is None or search_all(match, [found.path.rpartition("/")[2]])[0]:
                yield found


def _observation(params: FilesParams, look: _Look) -> Observation:
    measurements = look.summary.measurements()
    measurements += [Measurement(name, int(not problems), Unit.COUNT) for name, problems in look.problems.items()]
    evidence = [Evidence("Newest files", "\n".join(look.summary.lines()))] if look.summary.count else []
    problems = [line for lines in look.problems.values() for line in lines]
    if problems:
        evidence.append(Evidence("Damaged files", "\n".join(problems[:_SHOWN_PROBLEMS])))
    if look.search.unreadable:
        folders = "\n".join(shown(folder) for folder in look.search.unreadable[:_SHOWN_PROBLEMS])
        evidence.append(Evidence(f"Left out: {len(look.search.unreadable)} that may not be read", folders))
    if look.search.broken:
        evidence.append(Evidence("Left out", f"{look.search.broken} links that lead nowhere"))
    return Observation(tuple(measurements), tuple(evidence), _note(params, look, problems))


def _note(params: FilesParams, look: _Look, problems: list[str]) -> str:
    if not look.summary.count:
        return "no file is there that fits " + ", ".join(params.glob)
    if problems:
        return problems[0] + (f", and {len(problems) - 1} more" if len(problems) > 1 else "")
    return ""


def _too_slow(where: str, params: FilesParams, seconds: float) -> str:
    hint = "narrow the glob or lengthen the check's timeout"
    if "all" in (params.gzip, params.checksum):
        hint = "read only the newest, or lengthen the check's timeout"
    return f"looking through {shown(where)} took longer than {seconds:g}s, or an earlier look at it still hangs: {hint}"
