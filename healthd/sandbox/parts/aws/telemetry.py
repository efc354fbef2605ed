"""CloudWatch, its logs, and Cost Explorer: levels, lines and rates that hold until they are changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthd.sandbox.parts.aws.account import Aws


class Metrics:
    """The metrics of an account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def put(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        *,
        per_minute: float = 1,
        percentiles: Mapping[str, float] | None = None,
        silent_for: timedelta | None = None,
    ) -> None:
        """Put a metric to a level, in all of the past too, so that it is seen at once.

        `per_minute`: samples, which sums are made of; `percentiles`: such as {"p99": 900}, where they differ from
        `value`; `silent_for`: how long ago the last sample came.
        """
        silent = {} if silent_for is None else {"silent_for": silent_for.total_seconds()}
        given = {"namespace": namespace, "metric": metric, "dimensions": dimensions, "value": value}
        more = {"per_minute": per_minute, "percentiles": percentiles}
        await self._aws.stage("metrics", "put", **given, **more, **silent)

    async def remove(self, namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
        """Forget a metric: there never was one."""
        await self._aws.stage("metrics", "remove", namespace=namespace, metric=metric, dimensions=dimensions)


class Logs:
    """The log groups of an account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def group(self, name: str, *, retention: int | None = None, size: int = 0) -> None:
        """Make a group, or change how many days it keeps events (None: for ever) and how many bytes it holds."""
        await self._do("group", name=name, retention=retention, size=size)

    async def remove(self, name: str) -> None:
        """Delete a group."""
        await self._do("remove", name=name)

    async def write(
        self, group: str, *messages: str, ago: timedelta = timedelta(seconds=1), stream: str = "main"
    ) -> None:
        """Write lines, as if that long ago."""
        await self._do("write", group=group, messages=messages, ago=ago.total_seconds(), stream=stream)

    async def repeat(self, group: str, message: str, every: timedelta, *, silent_for: timedelta | None = None) -> None:
        """A line that comes again and again, in the past too. `silent_for`: how long ago it came the last time."""
        silent = {} if silent_for is None else {"silent_for": silent_for.total_seconds()}
        await self._do("repeat", group=group, message=message, every=every.total_seconds(), **silent)

    async def clear(self, group: str) -> None:
        """Forget all events of a group, and what is repeated."""
        await self._do("clear", group=group)

    async def _do(self, do: str, **given: Any) -> None:
        await self._aws.stage("logs", do, **given)


class Costs:
    """What the account costs."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def put(self, service: str, per_day: float, since: date | None = None) -> None:
        """What a service costs a day (USD): from a day on, or at all times."""
        given = {"service": service, "per_day": per_day, "since": since.isoformat() if since else None}
        await self._aws.stage("costs", "put", **given)
