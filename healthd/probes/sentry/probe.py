"""The `sentry` probe itself. See docs/probes/sentry.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import Duration, MeasureInfo, OneOrMany, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.sentry.api import Issue, events, issues

_SHOWN = 10
_TITLE = 120
_PROJECTS_MAX = 20


class SentryParams(ApiParams):
    """Parameters of the `sentry` probe."""

    url: str = Field("https://sentry.io", repr=False)
    token: SecretStr
    organization: str = Field(min_length=1)
    projects: OneOrMany = Field(min_length=1, max_length=_PROJECTS_MAX)
    since: Duration = timedelta(hours=24)
    query: str = "is:unresolved"

    @field_validator("since")
    @classmethod
    def _whole_minutes(cls, since: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= since <= timedelta(days=90):
            raise ValueError("must be from 1m to 90d")
        return since

    def sent_headers(self) -> dict[str, str]:
        """Header names to values: secrets."""
        return {"Authorization": f"Bearer {self.token.get_secret_value().strip()}"} | super().sent_headers()

    def secrets(self) -> list[str]:
        """Everything that must not be shown."""
        return [*super().secrets(), self.token.get_secret_value().strip()]


class SentryProbe:
    """Issues seen and issues that are new, and events, of each project."""

    Params: ClassVar[type[Params]] = SentryParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "issues": MeasureInfo(
            Unit.COUNT, "issues with an event in the time looked at: in all, and one series per project"
        ),
        "new_issues": MeasureInfo(Unit.COUNT, "of these, issues seen for the first time in it: likewise"),
        "events": MeasureInfo(Unit.COUNT, "events received in it: likewise"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: SentryParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: SentryParams, context: ProbeContext) -> Observation:
        """Ask three questions for each project. A Sentry that cannot be asked is a ProbeError."""
        looks = await asyncio.gather(*(_project(params, project, context) for project in params.projects))
        measurements = []
        for position, measure in enumerate(("issues", "new_issues", "events")):
            counts = [counts[position] for counts, _ in looks]
            measurements.append(Measurement(measure, float(sum(counts)), Unit.COUNT))
            measurements += [
                Measurement(measure, float(count), Unit.COUNT, project)
                for project, count in zip(params.projects, counts, strict=True)
            ]
        fresh = [issue for _, found in looks for issue in found]
        return Observation(tuple(measurements), _evidence(params, fresh), _note(params, fresh, measurements))


async def _project(
    params: SentryParams, project: str, context: ProbeContext
) -> tuple[tuple[int, int, int], list[Issue]]:
    """The counts of a project, and its new issues."""
    period = f"{int(params.since.total_seconds() // 60)}m"
    search = f"{params.query} project:{project}".strip()
    (_, seen), (fresh, new), received = await asyncio.gather(
        issues(params, params.organization, f"{search} lastSeen:-{period}", period, context),
        issues(params, params.organization, f"{search} firstSeen:-{period}", period, context),
        events(params, params.organization, project, params.since, context),
    )
    return (seen, new, received), fresh


def _evidence(params: SentryParams, fresh: list[Issue]) -> tuple[Evidence, ...]:
    ranked = sorted(fresh, key=lambda issue: issue.count, reverse=True)[:_SHOWN]
    if not ranked:
        return ()
    lines = [f"{i.short_id} {i.level} {i.count} times, {i.users} users: {i.title[:_TITLE]}" for i in ranked]
    return (Evidence("new issues", params.redact("\n".join(lines))),)


def _note(params: SentryParams, fresh: list[Issue], measurements: list[Measurement]) -> str:
    new = next(int(m.value) for m in measurements if m.name == "new_issues")
    if not new or not fresh:
        return ""
    worst = max(fresh, key=lambda issue: issue.count)
    return params.redact(f"{new} new, the most frequent: {worst.title[:_TITLE]}")
