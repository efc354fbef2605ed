"""The `environment` probe itself. See docs/probes/environment.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, OneOrMany, ProbeContext, ProbeError
from healthd.probes.blocking import Stop, blocking_calls
from healthd.probes.environment.secret_files import SecretFile, look_at
from healthd.probes.environment.variables import in_file, of_programs, own
from healthd.probes.paths import shown
from healthd.probes.patterns import regular_expression

_SHARE_OF_TIMEOUT = 0.95
_NAMED = 5


def _absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not an absolute path: write it from /")
    return paths


def _absolute_one(path: str) -> str:
    return _absolute((path,))[0]


class EnvironmentParams(base.Params):
    """What has to be there, and whose variables are meant."""

    variables: OneOrMany = Field((), description="names that must be set and not empty")
    env_file: Annotated[str, AfterValidator(_absolute_one)] | None = Field(None, description="of NAME=value lines")
    process: Annotated[str, AfterValidator(regular_expression)] | None = Field(
        None, description="regular expression for the command line of running programs"
    )
    files: Annotated[OneOrMany, AfterValidator(_absolute)] = Field((), description="secret files, or folders of them")

    @model_validator(mode="after")
    def _something(self) -> EnvironmentParams:
        if not self.variables and not self.files:
            raise ValueError("name some variables, or some files")
        if self.env_file is not None and self.process is not None:
            raise ValueError("give one of env_file and process")
        if (self.env_file or self.process) and not self.variables:
            raise ValueError("env_file and process say where variables are: name some")
        return self


@dataclass(frozen=True, slots=True)
class _Look:
    """`lacking` are variables that are not set, with the processes that lack them where these are looked at."""

    lacking: Mapping[str, list[str]]
    files: tuple[SecretFile, ...]


class EnvironmentProbe:
    """Names and facts, never a value."""

    Params: ClassVar[type[base.Params]] = EnvironmentParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "missing_variables": MeasureInfo(Unit.COUNT, "variables that are not set, or empty; only where some are named"),
        "variable": MeasureInfo(Unit.COUNT, "1 when it is set and not empty, otherwise 0; series: its name"),
        "missing_files": MeasureInfo(Unit.COUNT, "files that are not there; this and what follows only with files"),
        "empty_files": MeasureInfo(Unit.COUNT, "files that hold nothing, or only white space"),
        "exposed_files": MeasureInfo(Unit.COUNT, "files that every user of the machine may read"),
        "file": MeasureInfo(Unit.COUNT, "1 when it is there, not empty and not exposed, otherwise 0; series: its path"),
        "file_age": MeasureInfo(Unit.SECONDS, "since it was written; series: its path; absent when missing"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_variables", critical=parse_condition("> 0"), name="missing_variables", missing=Level.OK),
        Threshold("missing_files", critical=parse_condition("> 0"), name="missing_files", missing=Level.OK),
        Threshold("empty_files", critical=parse_condition("> 0"), name="empty_files", missing=Level.OK),
        Threshold("exposed_files", warning=parse_condition("> 0"), name="exposed_files", missing=Level.OK),
    )

    def measures_for(self, params: EnvironmentParams) -> Mapping[str, MeasureInfo]:
        """Those of what is asked for."""
        about_files = {name for name in self.measures if "file" in name}
        return {
            name: info
            for name, info in self.measures.items()
            if (params.files if name in about_files else params.variables)
        }

    async def run(self, params: EnvironmentParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError: missing, forbidden, timeout."""

        def work(_stop: Stop) -> _Look:
            return _Look(_lacking(params), tuple(look_at(params.files)))

        subject = params.env_file or (params.files[0] if params.files else "the processes")
        calls = await blocking_calls(context)
        try:
            seconds = context.timeout.total_seconds() * _SHARE_OF_TIMEOUT
            look = await calls.call(f"environment {subject}", work, seconds)
        except TimeoutError:
            raise ProbeError(f"{shown(subject)} does not answer", "timeout") from None
        return _observation(params, look, context)


def _lacking(params: EnvironmentParams) -> dict[str, list[str]]:
    if not params.variables:
        return {}
    if params.process is not None:
        programs = of_programs(params.process)
        every = {name: [pid for pid, there in programs.items() if name not in there] for name in params.variables}
        return {name: pids for name, pids in every.items() if pids}
    there = in_file(params.env_file) if params.env_file is not None else own()
    return {name: [] for name in params.variables if name not in there}


def _observation(params: EnvironmentParams, look: _Look, context: ProbeContext) -> Observation:
    measurements: list[Measurement] = []
    if params.variables:
        measurements.append(_count("missing_variables", len(look.lacking)))
        measurements += [_count("variable", name not in look.lacking, name) for name in dict.fromkeys(params.variables)]
    if params.files:
        measurements += [
            _count("missing_files", sum(file.missing for file in look.files)),
            _count("empty_files", sum(file.empty for file in look.files)),
            _count("exposed_files", sum(file.exposed for file in look.files)),
        ]
    now = context.now.timestamp()
    for file in look.files:
        measurements.append(_count("file", not file.problem(), shown(file.path)))
        if not file.missing:
            age = max(0.0, now - file.changed)
            measurements.append(Measurement("file_age", age, Unit.SECONDS, shown(file.path)))
    problems = [f"{name} is not set" + _where(pids) for name, pids in look.lacking.items()]
    problems += [f"{shown(file.path)} {file.problem()}" for file in look.files if file.problem()]
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return Observation(tuple(measurements), _evidence(look, now), "; ".join(problems[:_NAMED]) + more)


def _count(name: str, value: float, series: str = "") -> Measurement:
    return Measurement(name, float(value), Unit.COUNT, series)


def _where(pids: list[str]) -> str:
    return f" in process {', '.join(pids[:_NAMED])}" if pids else ""


def _evidence(look: _Look, now: float) -> tuple[Evidence, ...]:
    there = [file for file in look.files if not file.missing]
    lines = [f"{shown(f.path)}: written {format_duration(max(0.0, round(now - f.changed)))} ago" for f in there[:20]]
    return (Evidence("secret files", "\n".join(lines)),) if lines else ()
