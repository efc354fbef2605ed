"""`rds_logs`: the log files of a database instance: lines that match, slow queries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.account import Page
from healthd.probes.aws.log_lines import LineScan
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import Duration, MeasureInfo, Observation
from healthd.probes.patterns import regular_expression

DESCRIBE_FILES = Operation(
    "rds",
    "describe_db_log_files",
    "rds:DescribeDBLogFiles",
    "DescribeDBLogFiles",
    "arn:aws:rds:*:*:db:{DBInstanceIdentifier}",
)
DOWNLOAD = Operation(
    "rds",
    "download_db_log_file_portion",
    "rds:DownloadDBLogFilePortion",
    resource="arn:aws:rds:*:*:db:{DBInstanceIdentifier}",
)


class RdsLogsParams(AwsParams):
    """Which files, since when, and what is looked for in them."""

    instance: str = Field(min_length=1)
    files: Names = ("*",)
    over: Duration = timedelta(hours=1)
    pattern: Annotated[str, AfterValidator(regular_expression)] | None = None
    slow: Duration | None = None
    max_bytes: int = Field(10_000_000, ge=1_000, le=1_000_000_000)
    samples: int = Field(5, ge=0, le=50)


class RdsLogsProbe(AwsProbe):
    """Fetches what was written lately, portion by portion, and keeps counts."""

    Params: ClassVar[type[base.Params]] = RdsLogsParams
    operations: ClassVar[tuple[Operation, ...]] = (DESCRIBE_FILES, DOWNLOAD)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "files": count_of("files that were written to in that time"),
        "lines": count_of("lines of that time"),
        "count": count_of("lines that match pattern; absent without one"),
        "slow_queries": count_of("statements that took as long as slow, or longer; absent without it"),
        "slowest": MeasureInfo(Unit.SECONDS, "of the statements whose duration is logged; absent without any"),
        "bytes": MeasureInfo(Unit.BYTES, "read"),
        "complete": count_of("1 when all was read, 0 when max_bytes came first: the counts are then too low"),
    }

    def fields(self, params: RdsLogsParams) -> Fields:
        """The instance."""
        return {"DBInstanceIdentifier": (params.instance,)}

    async def look(self, params: RdsLogsParams, aws: Asker) -> Observation:
        """Read the newest file first."""
        since = aws.now - params.over
        written = {"FileLastWritten": int(since.timestamp() * 1000)}
        listed = await aws.items(DESCRIBE_FILES, DBInstanceIdentifier=params.instance, **written)
        files = [f for f in listed if fits(f["LogFileName"], params.files) and _written(f) >= since]
        pattern = re.compile(params.pattern) if params.pattern else None
        slow = params.slow.total_seconds() if params.slow is not None else None
        scan = LineScan(pattern, slow, since, params.samples)
        left = params.max_bytes
        for file in sorted(files, key=_written, reverse=True):
            request = {"DBInstanceIdentifier": params.instance, "LogFileName": file["LogFileName"], "Marker": "0"}
            left -= await aws.reduce(DOWNLOAD, partial(_read, scan, left), request)
            if left <= 0:
                break
        return self._observation(params, len(files), scan, params.max_bytes - left)

    def _observation(self, params: RdsLogsParams, files: int, scan: LineScan, size: int) -> Observation:
        found: dict[str, float | str | None] = {
            "files": files,
            "lines": scan.lines,
            "count": scan.matched if params.pattern else None,
            "slow_queries": scan.slow_queries if params.slow is not None else None,
            "slowest": scan.slowest,
            "bytes": size,
            "complete": size < params.max_bytes,
        }
        evidence = (Evidence("Last lines", "\n".join(scan.kept)),) if scan.kept else ()
        if not files:
            return Observation(self.measured(found), evidence, "no log file was written to in that time")
        return Observation(self.measured(found), evidence, "" if found["complete"] else "stopped at max_bytes")


def _written(file: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(file.get("LastWritten", 0) / 1000, UTC)


def _read(scan: LineScan, limit: int, portions: Iterator[Page]) -> int:
    """In a thread: count the lines of a file, at most about `limit` bytes; how many bytes were read."""
    scan.recent = True
    size, rest = 0, ""
    for portion in portions:
        text = portion.get("LogFileData") or ""
        size += len(text.encode())
        *lines, rest = (rest + text).split("\n")
        scan.take(lines)
        if size >= limit:
            break
    scan.take([rest])
    return size
