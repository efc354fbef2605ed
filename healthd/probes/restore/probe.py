"""`restore_drill`: whether the newest backup can be restored, how long that takes, and what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.operations import Allowed, allowed
from healthd.probes.aws.params import AwsParams
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.network import no_answer
from healthd.probes.postgres.grants import CREATE_DATABASES, Grants, for_query, needs
from healthd.probes.restore.backups import OPERATIONS
from healthd.probes.restore.drill import Drill, Findings
from healthd.probes.restore.params import Compare, RestoreParams
from healthd.probes.restore.steps import Steps

__all__ = ["RestoreDrillProbe"]

# What of the check's timeout is kept for clearing away.
_CLEARING_SHARE, _CLEARING_MOST = 0.15, 15.0  # seconds
_TIMED = ("fetch and verify", "verify", "make the scratch database", "restore", "look at what was restored")


def _count(what: str) -> MeasureInfo:
    return MeasureInfo(Unit.COUNT, what)


def _zero(measure: str) -> Threshold:
    return Threshold(measure, critical=parse_condition("= 0"), missing=Level.OK, name=measure)


class RestoreDrillProbe:
    """Works in a folder that the process settings must allow, and changes nothing outside of it and its own scratch."""

    Params: ClassVar[type[base.Params]] = RestoreParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "restored": _count("1 when the newest backup is whole and was restored without an error, else 0"),
        "duration": MeasureInfo(Unit.SECONDS, "from the first byte fetched to the last sanity question answered"),
        "restore_duration": MeasureInfo(Unit.SECONDS, "of it, what pg_restore or psql took"),
        "backup_age": MeasureInfo(Unit.SECONDS, "since the newest backup was made; absent without a backup"),
        "backup_size": MeasureInfo(Unit.BYTES, "of the newest backup; absent without a backup"),
        "checksum_valid": _count("1 when its checksum agrees; absent where there is none and none is required"),
        "errors": _count("messages of pg_restore or psql, but for what is the server's, such as roles"),
        "tables": _count("tables that were restored"),
        "restored_size": MeasureInfo(Unit.BYTES, "of the restored database"),
        "sanity_ok": _count("1 when every sanity question has the answer expected"),
        "sanity_value": MeasureInfo(None, "the answer, one series for each question"),
        "rows": _count("with compare: rows restored, one series for each table"),
        "rows_ratio": MeasureInfo(Unit.RATIO, "with compare: rows restored / in production, one series each"),
        "rows_ok": _count("with compare: 1 when all of them are within the tolerance"),
        "leftovers": _count(
            "scratch folders and databases of drills that were killed, longer ago than leftovers_after"
        ),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("restored", critical=parse_condition("= 0"), name="restored"),
        *map(_zero, ("checksum_valid", "tables", "sanity_ok", "rows_ok")),
    )

    def measures_for(self, params: RestoreParams) -> Mapping[str, MeasureInfo]:
        """Those of questions and comparisons only where the check has them."""
        off = {
            *(() if params.sanity else ("sanity_ok", "sanity_value")),
            *(() if params.compare else ("rows", "rows_ratio", "rows_ok")),
            *(("checksum_valid",) if params.checksum == "off" else ()),
        }
        return {name: info for name, info in self.measures.items() if name not in off}

    def allows(self, params: RestoreParams) -> tuple[tuple[AwsParams, Allowed], ...]:
        """What it asks of S3."""
        if params.s3 is None:
            return ()
        beginning = params.s3.prefix.partition("{")[0]  # up to the date in it
        fields = {"Bucket": (params.s3.bucket,), "Key": (f"{beginning}*",)}
        return tuple((params.s3, one) for operation in OPERATIONS for one in allowed(operation, fields))

    def grants(self, params: RestoreParams) -> Grants:
        """To make a scratch database on a server it is given, and to count rows in production."""
        found: Grants = ()
        if params.server is not None:
            found += needs(params.server, CREATE_DATABASES)
        if params.compare is not None:
            found += needs(params.compare.url)
            if params.compare.count == "exact":  # an estimate is in the catalogue, for all to read
                for table in params.compare.tables:
                    found += for_query(params.compare.url, f"SELECT FROM {table}")
        return found

    async def run(self, params: RestoreParams, context: ProbeContext) -> Observation:
        """Drill once. A bad backup is an answer; UNKNOWN is a drill that could not be held."""
        steps = Steps()
        drill = Drill(params, context, _allowed(context), steps)
        whole = context.timeout.total_seconds()
        try:
            async with asyncio.timeout(whole - min(_CLEARING_MOST, whole * _CLEARING_SHARE)):
                found = await drill.run()
        except TimeoutError:
            reason = no_answer(context.timeout, f"doing: {steps.doing}; lengthen the check's timeout")
            raise ProbeError(reason, "timeout", (steps.evidence(context.limits.max_evidence_chars),)) from None
        except ProbeError as error:
            journal = steps.evidence(context.limits.max_evidence_chars)
            raise ProbeError(error.reason, error.kind, (*error.evidence, journal)) from None
        return _observation(params, context, found, steps)


def _allowed(context: ProbeContext) -> Path:
    """The folder for drills. Raises ProbeError when the process settings name none: drills are off then."""
    folder = context.limits.scratch_dir
    if folder is None:
        raise ProbeError(
            "restore drills are off: set HEALTHD_SCRATCH_DIR to a folder with room for a restored database", "forbidden"
        )
    return folder


def _observation(params: RestoreParams, context: ProbeContext, found: Findings, steps: Steps) -> Observation:
    numbers: dict[str, float | None] = {
        "restored": float(not found.problem and found.loaded is not None and not found.loaded.errors),
        "leftovers": found.leftovers,
        "checksum_valid": found.checksum_valid,
    }
    if found.backup is not None:
        numbers["backup_age"] = max(0.0, (context.now - found.backup.made).total_seconds())
        numbers["backup_size"] = found.backup.size
    if found.loaded is not None:
        numbers["errors"] = found.loaded.errors
        numbers["duration"] = sum(steps.seconds.get(name, 0.0) for name in _TIMED)
        numbers["restore_duration"] = steps.seconds["restore"]
    if found.restored is not None:
        numbers["tables"], numbers["restored_size"] = found.restored.tables, found.restored.size
        if params.sanity:
            numbers["sanity_ok"] = not any(answer.problem for answer in found.restored.answers)
    measures = RestoreDrillProbe.measures
    measurements = [Measurement(n, float(v), measures[n].unit) for n, v in numbers.items() if v is not None]
    measurements += [*_answers(found), *_rows(params.compare, found)]
    return Observation(tuple(measurements), _evidence(found, steps, context), _note(params, found))


def _answers(found: Findings) -> Iterator[Measurement]:
    for answer in found.restored.answers if found.restored is not None else ():
        if answer.value is not None:
            unit = Unit.TEXT if isinstance(answer.value, str) else None
            yield Measurement("sanity_value", answer.value, unit, answer.name)


def _rows(compare: Compare | None, found: Findings) -> Iterator[Measurement]:
    if compare is None or found.restored is None:
        return
    for table, rows in found.restored.rows.items():
        if rows is not None:
            yield Measurement("rows", float(rows), Unit.COUNT, table)
        if (ratio := _ratio(table, found)) is not None:
            yield Measurement("rows_ratio", ratio, Unit.RATIO, table)
    if found.production is not None:
        yield Measurement("rows_ok", float(not _differing(compare, found)), Unit.COUNT)


def _ratio(table: str, found: Findings) -> float | None:
    """Rows restored against rows in production, None when either is not known."""
    assert found.restored is not None
    there = (found.production or {}).get(table)
    if there is None:
        return None
    here = found.restored.rows.get(table) or 0
    return here / there if there else float(here == 0)


def _differing(compare: Compare, found: Findings) -> list[str]:
    """What is wrong with each table that differs by more than the tolerance."""
    assert found.restored is not None
    wrong = []
    for table, rows in found.restored.rows.items():
        ratio = _ratio(table, found)
        if rows is None:
            wrong.append(f"{table} was not restored")
        elif ratio is None:
            wrong.append(f"{table} is not in production, or has never been analyzed there")
        elif abs(ratio - 1) > compare.tolerance:
            wrong.append(f"{table} has {rows} rows, {ratio:.4g} of production's")
    return wrong


def _note(params: RestoreParams, found: Findings) -> str:
    if found.problem:
        return found.problem
    notes = []
    if found.loaded is not None and found.loaded.errors:
        more = f" and {found.loaded.errors - 1} more errors" if found.loaded.errors > 1 else ""
        notes.append(f"restoring failed: {found.loaded.messages[0]}{more}")
    if found.restored is not None:
        notes += [f"{answer.name}: {answer.problem}" for answer in found.restored.answers if answer.problem][:3]
    if params.compare is not None and found.production is not None and found.restored is not None:
        notes += _differing(params.compare, found)[:3]
    if found.production_problem:
        notes.append(found.production_problem)
    return "; ".join(notes)


def _evidence(found: Findings, steps: Steps, context: ProbeContext) -> tuple[Evidence, ...]:
    most = context.limits.max_evidence_chars
    evidence = [steps.evidence(most)]
    if found.loaded is not None and found.loaded.messages:
        evidence.append(Evidence("errors", "\n".join(found.loaded.messages)[:most]))
    if found.loaded is not None and found.loaded.left_out:
        title = f"left out: {found.loaded.passed_over} statements about the server rather than the database"
        evidence.append(Evidence(title, "\n".join(found.loaded.left_out)[:most]))
    return tuple(evidence)
