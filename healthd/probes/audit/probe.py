"""The `audit` probe itself. See docs/probes/audit.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.audit.reports import READERS, SEVERITIES, Finding, Report, ToolFailedError
from healthd.probes.audit.source import Stored, from_file, from_program
from healthd.probes.base import MeasureInfo, OneOrMany, ProbeContext, ProbeError
from healthd.probes.command.params import ProgramParams
from healthd.probes.files.pattern import check_glob
from healthd.probes.paths import shown

_SHOWN, _NAMED = 20, 3
_OUTDATED = ("npm-outdated", "pip-outdated")


class AuditParams(base.Params):
    """Whose report it is, and where it comes from."""

    tool: Literal["npm", "npm-outdated", "pip-audit", "pip-outdated", "trivy", "snyk"]
    report: Annotated[str, AfterValidator(check_glob)] | None = Field(
        None, description="absolute glob: the newest counts"
    )
    command: ProgramParams | None = Field(None, description="a program that writes the report")
    ignore: OneOrMany = Field((), description="vulnerabilities that are accepted, by id")

    @model_validator(mode="after")
    def _one_source(self) -> AuditParams:
        if (self.report is None) == (self.command is None):
            raise ValueError("give one of report (a file) and command (a program)")
        if self.ignore and self.tool in _OUTDATED:
            raise ValueError("ignore takes ids of vulnerabilities, which this report does not hold")
        return self


class AuditProbe:
    """Counts what an audit found. One that looked at nothing is no good news."""

    Params: ClassVar[type[base.Params]] = AuditParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "vulnerabilities": MeasureInfo(Unit.COUNT, "all of them, without those ignored"),
        "critical": MeasureInfo(Unit.COUNT, "of critical severity"),
        "high": MeasureInfo(Unit.COUNT, "of high severity"),
        "medium": MeasureInfo(Unit.COUNT, "of medium (npm: moderate) severity"),
        "low": MeasureInfo(Unit.COUNT, "of low severity"),
        "info": MeasureInfo(Unit.COUNT, "only for information"),
        "unknown": MeasureInfo(Unit.COUNT, "of unknown severity: all of pip-audit's"),
        "ignored": MeasureInfo(Unit.COUNT, "accepted under `ignore`"),
        "looked_at": MeasureInfo(Unit.COUNT, "packages looked at; trivy: targets"),
        "skipped": MeasureInfo(Unit.COUNT, "packages pip-audit did not look at"),
        "outdated": MeasureInfo(Unit.COUNT, "packages with a newer version"),
        "outdated_major": MeasureInfo(Unit.COUNT, "of these, with a newer major version"),
        "report_age": MeasureInfo(Unit.SECONDS, "since the report was written; only with `report`"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("critical", critical=parse_condition("> 0"), name="critical", missing=Level.OK),
        Threshold("high", warning=parse_condition("> 0"), name="high", missing=Level.OK),
        Threshold("unknown", warning=parse_condition("> 0"), name="unknown", missing=Level.OK),
        Threshold("skipped", warning=parse_condition("> 0"), name="skipped", missing=Level.OK),
    )

    def measures_for(self, params: AuditParams) -> Mapping[str, MeasureInfo]:
        """Those of this tool's report."""
        known = {"outdated", "outdated_major"}
        if params.tool not in _OUTDATED:
            known = set(self.measures) - known - ({"skipped"} if params.tool != "pip-audit" else set())
        known = known | {"report_age"} if params.report is not None else known - {"report_age"}
        return {name: info for name, info in self.measures.items() if name in known}

    async def run(self, params: AuditParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError; `missing` when the tool looked at nothing."""
        if params.report is not None:
            stored = await from_file(params.report, context)
        else:
            assert params.command is not None
            stored = await from_program(params.command, context)
        report = _read(params, stored)
        _require_a_look(report, stored)
        ignored = {i.upper() for i in params.ignore}
        counted = [f for f in report.findings if not _accepted(f, ignored)]
        measurements = [*_counts(report, counted), *_outdated(report)]
        if stored.age is not None:
            measurements.append(Measurement("report_age", stored.age, Unit.SECONDS))
        evidence = tuple(e for e in _evidence(report, counted) if e.text)
        return Observation(tuple(measurements), evidence, _note(report, counted))


def _read(params: AuditParams, stored: Stored) -> Report:
    try:
        return READERS[params.tool](stored.document)
    except ToolFailedError as error:
        raise ProbeError(f"{params.tool} could not look: {shown(str(error))[:300]}", "error") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ProbeError(f"{stored.where} is not a report of {params.tool} in its JSON form", "protocol") from None


def _require_a_look(report: Report, stored: Stored) -> None:
    if report.looked_at == 0:
        why = (
            f": {len(report.skipped)} were skipped, such as {shown(report.skipped[0])[:200]}" if report.skipped else ""
        )
        raise ProbeError(f"{stored.where}: nothing was found because nothing was looked at{why}", "missing")


def _accepted(finding: Finding, ignored: set[str]) -> bool:
    """Whether each of its flaws is, under one of its names."""
    return bool(finding.flaws) and all(ignored & {name.upper() for name in names} for names in finding.flaws)


def _counts(report: Report, counted: list[Finding]) -> Iterator[Measurement]:
    if report.outdated is not None:
        return
    yield Measurement("vulnerabilities", float(len(counted)), Unit.COUNT)
    by_severity = Counter(finding.severity for finding in counted)
    yield from (Measurement(name, float(by_severity[name]), Unit.COUNT) for name in SEVERITIES)
    yield Measurement("ignored", float(len(report.findings) - len(counted)), Unit.COUNT)
    if report.looked_at is not None:
        yield Measurement("looked_at", float(report.looked_at), Unit.COUNT)
    if report.skipped is not None:
        yield Measurement("skipped", float(len(report.skipped)), Unit.COUNT)


def _outdated(report: Report) -> Iterator[Measurement]:
    if report.outdated is not None:
        yield Measurement("outdated", float(len(report.outdated)), Unit.COUNT)
        yield Measurement("outdated_major", float(sum(o.major for o in report.outdated)), Unit.COUNT)


def _note(report: Report, counted: list[Finding]) -> str:
    notes = []
    by_severity = Counter(finding.severity for finding in counted)
    worst = [f"{by_severity[name]} {name}" for name in SEVERITIES if by_severity[name]]
    if worst:
        names = dict.fromkeys(finding.package for finding in _ranked(counted))
        notes.append(
            f"{', '.join(worst)}: {shown(', '.join(list(names)[:_NAMED]))}" + (", ..." * (len(names) > _NAMED))
        )
    if report.skipped:
        notes.append(f"{len(report.skipped)} packages were not looked at")
    if report.outdated:
        notes.append(f"{len(report.outdated)} outdated, {sum(o.major for o in report.outdated)} by a major version")
    return "; ".join(notes)


def _ranked(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.package))


def _names(finding: Finding) -> list[str]:
    """One name for each flaw: CVE or GHSA if it has one."""
    known = [[name for name in names if name.startswith(("CVE", "GHSA"))] or list(names) for names in finding.flaws]
    return [min(names) for names in known if names][:3]


def _evidence(report: Report, counted: list[Finding]) -> Iterator[Evidence]:
    lines = [
        f"{f.severity} {f.package} {f.version} {' '.join(_names(f))}: {f.title[:100]}"
        + (f" (fixed in {f.fixed[:60]})" if f.fixed else "")
        for f in _ranked(counted)[:_SHOWN]
    ]
    yield Evidence("vulnerabilities", "\n".join(shown(line) for line in lines))
    outdated = sorted(report.outdated or (), key=lambda o: (not o.major, o.package))[:_SHOWN]
    yield Evidence("outdated", "\n".join(shown(f"{o.package} {o.version}, latest {o.latest}") for o in outdated))
    yield Evidence("not looked at", "\n".join(shown(text)[:200] for text in (report.skipped or ())[:_SHOWN]))
