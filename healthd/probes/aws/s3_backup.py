"""`s3_backup`: the objects under a prefix as one answer: how old, how large, as large as usual, one for each day."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from statistics import median
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level
from healthd.model.units import Unit, format_duration, format_value
from healthd.probes import base
from healthd.probes.aws.account import Page
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation, OneOrMany, ProbeError
from healthd.probes.date_template import check_dates, fill_dates
from healthd.probes.paths import shown
from healthd.probes.patterns import regular_expression, search
from healthd.probes.zones import ZoneName

LIST_OBJECTS = Operation("s3", "list_objects_v2", "s3:ListBucket", "Contents", "arn:aws:s3:::{Bucket}")
_LISTED = 5


class S3BackupParams(AwsParams):
    """Which objects. Dates in `prefix` and `expected`, and days, are those of `zone`: by default the system's."""

    bucket: str = Field(min_length=3)
    prefix: OneOrMany = ("",)
    suffix: OneOrMany = ()
    match: Annotated[str, AfterValidator(regular_expression)] | None = None
    expected: OneOrMany = ()
    usual: int = Field(7, ge=1, le=1000, description="how many before the newest say what size is usual")
    days: int | None = Field(None, ge=1, le=400, description="full days before today to look at one by one")
    max_objects: int = Field(100_000, ge=1)
    zone: ZoneName | None = None

    @field_validator("prefix", "expected")
    @classmethod
    def _dates(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_dates(value) for value in values)

    @field_validator("prefix")
    @classmethod
    def _from_the_top(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if odd := next((value for value in values if value.startswith("/")), None):
            raise ValueError(f"{odd!r}: keys do not begin with a slash: write {odd.lstrip('/')!r}")
        return values

    def wants(self, key: str) -> bool:
        """Whether an object belongs to the backups; what ends with a slash is a console's folder."""
        if key.endswith("/") or (self.suffix and not key.endswith(self.suffix)):
            return False
        return self.match is None or search(self.match, key) is not None


class S3BackupProbe(AwsProbe):
    """Lists the objects, page by page, keeping only what the measures need."""

    Params: ClassVar[type[base.Params]] = S3BackupParams
    operations: ClassVar[tuple[Operation, ...]] = (LIST_OBJECTS,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("objects; 0 is an answer, not a failure"),
        "count_today": count_of("objects written today, in the time zone of `zone`"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest was written; absent without objects"),
        "oldest_age": MeasureInfo(Unit.SECONDS, "since the oldest was written; absent without objects"),
        "newest_size": MeasureInfo(Unit.BYTES, "of the newest; absent without objects"),
        "smallest_size": MeasureInfo(Unit.BYTES, "of the smallest; absent without objects"),
        "total_size": MeasureInfo(Unit.BYTES, "of all together"),
        "usual_size": MeasureInfo(Unit.BYTES, "median of those before the newest; absent without any"),
        "size_change": MeasureInfo(Unit.RATIO, "newest against usual: -50% is half, 100% is twice"),
        "days_without": count_of("with days: how many of the days have no object"),
        "least_per_day": count_of("with days: objects on the day that has fewest"),
        "missing_count": count_of("with expected: how many of those names are not there"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_count", critical=parse_condition("> 0"), missing=Level.OK, name="missing_count"),
    )

    def measures_for(self, params: S3BackupParams) -> Mapping[str, MeasureInfo]:
        """Those of days and of expected names only where the check has them."""
        off = {
            *(() if params.days else ("days_without", "least_per_day")),
            *(() if params.expected else ("missing_count",)),
        }
        return {name: info for name, info in self.measures.items() if name not in off}

    def fields(self, params: S3BackupParams) -> Fields:
        """The bucket."""
        return {"Bucket": (params.bucket,)}

    async def look(self, params: S3BackupParams, aws: Asker) -> Observation:
        """List every prefix. Raises ProbeError, among others for more objects than `max_objects` (limit)."""
        local = aws.now.astimezone(ZoneInfo(params.zone) if params.zone is not None else aws.zone)
        seen = _Seen(params, local, expected={fill_dates(name, local) for name in params.expected})
        prefixes = list(dict.fromkeys(fill_dates(prefix, local) for prefix in params.prefix))
        for prefix in prefixes:
            request = {"Bucket": params.bucket, "Prefix": prefix}
            await aws.reduce(LIST_OBJECTS, partial(seen.add, prefix), request)
        return Observation(self.measured(seen.measures()), seen.evidence(), seen.note(prefixes))


@dataclass(frozen=True, slots=True, order=True)
class _Object:
    written: datetime
    key: str
    size: int


@dataclass(slots=True)
class _Seen:
    """What is kept of the objects, however many."""

    params: S3BackupParams
    now: datetime  # in the zone whose days are meant
    expected: set[str]  # names not found so far
    count: int = 0
    total: int = 0
    smallest: int = 0
    oldest: datetime | None = None
    newest: list[_Object] = field(default_factory=list)  # a heap, the oldest of them first
    per_day: Counter[Any] = field(default_factory=Counter)

    def add(self, prefix: str, pages: Iterator[Page]) -> None:
        """In a thread: take in a listing."""
        looked_at = 0
        for page in pages:
            for found in page.get("Contents", ()):
                looked_at += 1
                if looked_at > self.params.max_objects:
                    raise ProbeError(
                        f"more than {self.params.max_objects} objects under {prefix or 'the whole bucket'}:"
                        " narrow the prefix or raise max_objects",
                        "limit",
                    )
                if self.params.wants(found["Key"]):
                    self._take(_Object(found["LastModified"], found["Key"], found["Size"]), prefix)

    def _take(self, found: _Object, prefix: str) -> None:
        self.smallest = min(self.smallest, found.size) if self.count else found.size
        self.count += 1
        self.total += found.size
        self.oldest = min(self.oldest, found.written) if self.oldest else found.written
        self.per_day[found.written.astimezone(self.now.tzinfo).date()] += 1
        self.expected -= {name for name in self.expected if fnmatchcase(found.key.removeprefix(prefix), name)}
        keep = max(self.params.usual + 1, _LISTED)
        (heapq.heappush if len(self.newest) < keep else heapq.heappushpop)(self.newest, found)

    @property
    def ranked(self) -> list[_Object]:
        return sorted(self.newest, reverse=True)

    def age(self, written: datetime) -> float:
        return max(0.0, (self.now - written).total_seconds())

    def measures(self) -> dict[str, float | str | None]:
        newest = self.ranked[0] if self.count else None
        before = [found.size for found in self.ranked[1 : self.params.usual + 1]]
        usual = median(before) if before else None
        return {
            "count": self.count,
            "count_today": self.per_day[self.now.date()],
            "newest_age": self.age(newest.written) if newest else None,
            "oldest_age": self.age(self.oldest) if self.oldest else None,
            "newest_size": newest.size if newest else None,
            "smallest_size": self.smallest if newest else None,
            "total_size": self.total,
            "usual_size": usual,
            "size_change": (newest.size - usual) / usual if newest and usual else None,
            **self._by_day(),
            "missing_count": len(self.expected) if self.params.expected else None,
        }

    def _by_day(self) -> dict[str, float | str | None]:
        counts = [self.per_day[day] for day in self._days()]
        return {"days_without": counts.count(0), "least_per_day": min(counts)} if counts else {}

    def _days(self) -> list[Any]:
        return [self.now.date() - timedelta(days=ago) for ago in range(1, (self.params.days or 0) + 1)]

    def evidence(self) -> tuple[Evidence, ...]:
        lines = [self._line(found) for found in self.ranked[:_LISTED]]
        found = [Evidence("Newest objects", "\n".join(lines))] if lines else []
        if self.expected:
            found.append(Evidence("Missing", "\n".join(sorted(self.expected))))
        if empty := [str(day) for day in self._days() if not self.per_day[day]]:
            found.append(Evidence("Days without", "\n".join(empty[:31])))
        return tuple(found)

    def _line(self, found: _Object) -> str:
        size, age = format_value(float(found.size), Unit.BYTES), format_duration(round(self.age(found.written)))
        return f"{shown(found.key)}: {size}, {age} old"

    def note(self, prefixes: list[str]) -> str:
        if not self.count:
            where = ", ".join(f"s3://{self.params.bucket}/{prefix}" for prefix in prefixes)
            return f"no object is there that fits, under {where}"
        return f"missing: {', '.join(sorted(self.expected)[:3])}" if self.expected else ""
