"""`process`: running programs, by name, command line, user or process id."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit, format_duration, format_value
from healthd.probes import base
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.blocking import Stop, blocking_calls
from healthd.probes.patterns import search

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")
_SHOWN = 5


class ProcessParams(base.Params):
    """Which processes."""

    name: str | None = Field(None, description="the program's exact name, as ps -o comm shows it (or in full)")
    match: str | None = Field(None, description="regular expression found anywhere in the command line")
    user: str | None = Field(None, description="the user it runs as")
    pid: int | Literal["self"] | None = Field(None, description="one process id; self is healthd")
    pidfile: Path | None = Field(None, description="file holding the process id")

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _names_something(self) -> ProcessParams:
        if not (self.name or self.match or self.user or self.pid or self.pidfile):
            raise ValueError("say which processes: one of name, match, user, pid (self is healthd), pidfile")
        return self


class ProcessProbe:
    """Counts the processes that fit every criterion given, and what they use together."""

    Params: ClassVar[type[base.Params]] = ProcessParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "running processes that fit; zombies are not running"),
        "oldest_age": MeasureInfo(Unit.SECONDS, "since the oldest was started"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest was started: small after a restart"),
        "rss": MeasureInfo(Unit.BYTES, "resident memory of all together; shared pages count in each"),
        "max_rss": MeasureInfo(Unit.BYTES, "resident memory of the largest"),
        "threads": MeasureInfo(Unit.COUNT, "threads of all together"),
        "open_files_ratio": MeasureInfo(
            Unit.RATIO, "open files of the one nearest to its own limit; absent without the right to see them"
        ),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold(measure="count", critical=parse_condition("= 0"), name="count"),
    )

    def measures_for(self, params: ProcessParams) -> Mapping[str, MeasureInfo]:
        return self.measures

    async def run(self, params: ProcessParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `missing` for a pidfile that cannot be read."""
        calls = await blocking_calls(context)
        try:
            found = await calls.call(
                "the list of processes",
                lambda stop: _search(params, context.now, stop),
                context.timeout.total_seconds() * 0.9,
            )
        except TimeoutError:
            raise ProbeError("the list of processes could not be read in time", "timeout") from None
        if not found:
            return Observation((Measurement("count", 0, Unit.COUNT),), (), "no such process is running")
        return Observation(_measure(found), (_evidence(found),))


class _Seen:
    """What was read of one process. None where it may not be seen."""

    def __init__(self, process: psutil.Process, now: datetime) -> None:
        self.pid, self.name = process.pid, process.name()
        self.age = max(0.0, now.timestamp() - process.create_time())
        self.rss: int | None = _allowed(lambda: process.memory_info().rss)
        self.threads: int | None = _allowed(process.num_threads)
        self.open_files_ratio = _allowed(lambda: _open_files_ratio(process))


def _search(params: ProcessParams, now: datetime, stop: Stop) -> list[_Seen]:
    import psutil

    found = []
    for process in _candidates(params):
        if stop.is_set():
            break
        try:
            if _fits(process, params):
                found.append(_Seen(process, now))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended meanwhile, or hidden from us altogether
    return found


def _candidates(params: ProcessParams) -> Iterator[psutil.Process]:
    import psutil

    if params.pid is None and params.pidfile is None:
        yield from psutil.process_iter()
        return
    pids = {os.getpid() if params.pid == "self" else params.pid, _read_pidfile(params.pidfile)} - {None}
    for pid in pids if len(pids) == 1 else ():  # a pid and a pidfile that differ: no process is both
        try:
            yield psutil.Process(pid)
        except psutil.NoSuchProcess:
            return


def _read_pidfile(path: Path | None) -> int | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(64).split()
    except OSError as error:
        raise ProbeError(f"cannot read the pidfile {path}: {error.strerror}", "missing") from None
    if not text or not text[0].isdigit():
        raise ProbeError(f"the pidfile {path} holds no process id", "protocol")
    return int(text[0])


def _fits(process: psutil.Process, params: ProcessParams) -> bool:
    import psutil

    if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
        return False
    if params.name is not None and process.name() not in (params.name, params.name[:15]):  # the kernel keeps 15
        return False
    if params.user is not None and process.username() != params.user:
        return False
    if params.match is None:
        return True
    line = " ".join(process.cmdline()) or process.name()
    return search(params.match, line) is not None


def _open_files_ratio(process: psutil.Process) -> float | None:
    import psutil

    limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
    return process.num_fds() / limit if limit > 0 else None


def _allowed(read: Callable[[], T]) -> T | None:
    """None where the system does not let us or does not know."""
    import psutil

    try:
        return read()
    except (psutil.AccessDenied, PermissionError, AttributeError):
        return None


def _measure(found: list[_Seen]) -> tuple[Measurement, ...]:
    rss, threads = [s.rss for s in found if s.rss is not None], [s.threads for s in found if s.threads is not None]
    ratios = [s.open_files_ratio for s in found if s.open_files_ratio is not None]
    values: list[tuple[str, Any, Unit]] = [
        ("count", len(found), Unit.COUNT),
        ("oldest_age", max(s.age for s in found), Unit.SECONDS),
        ("newest_age", min(s.age for s in found), Unit.SECONDS),
        ("rss", float(sum(rss)) if rss else None, Unit.BYTES),
        ("max_rss", float(max(rss)) if rss else None, Unit.BYTES),
        ("threads", sum(threads) if threads else None, Unit.COUNT),
        ("open_files_ratio", max(ratios, default=None), Unit.RATIO),
    ]
    return tuple(Measurement(name, value, unit) for name, value, unit in values if value is not None)


def _evidence(found: list[_Seen]) -> Evidence:
    largest = sorted(found, key=lambda seen: seen.rss or 0, reverse=True)[:_SHOWN]
    lines = [
        f"{s.pid} {s.name}: started {format_duration(s.age)} ago, {format_value(float(s.rss or 0), Unit.BYTES)}"
        for s in largest
    ]
    return Evidence("Processes" if len(found) <= _SHOWN else f"The {_SHOWN} largest of {len(found)}", "\n".join(lines))
