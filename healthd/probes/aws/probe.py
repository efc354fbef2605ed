"""What every AWS probe is made of: declared operations, shared answers, errors in words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.account import Account, NotAwsError, Page, account_of, forget
from healthd.probes.aws.errors import AwsError, explain_answer, explain_failure
from healthd.probes.aws.http import ANSWER_MAX, StoppedError, TooLongError
from healthd.probes.aws.operations import Allowed, Fields, Operation, allowed
from healthd.probes.aws.params import AwsParams
from healthd.probes.base import MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.network import no_answer, patience

__all__ = ["Asker", "AwsProbe", "at", "count_of", "if_told", "text_of"]

T = TypeVar("T")
_PAGES_MAX = 500
_LIST_MAX = 2 * ANSWER_MAX  # bytes of all pages of a list together


class Asker:
    """Asks AWS for one look; each question once for all checks of a checklist run."""

    def __init__(self, account: Account, context: ProbeContext, operations: tuple[Operation, ...]) -> None:
        self.account, self.context = account, context
        self._operations = operations
        self._ends = time.monotonic() + patience(context.timeout)
        self.doing = ""

    @property
    def now(self) -> datetime:
        return self.context.now

    @property
    def zone(self) -> ZoneInfo:
        return self.context.zone

    @property
    def left(self) -> float:
        """Seconds until the look has to end."""
        return max(0.01, self._ends - time.monotonic())

    async def answer(self, operation: Operation, **request: Any) -> Page:
        """The answer to an operation that has one page."""
        return next(iter(await self.pages(operation, **request)), {})

    async def items(self, operation: Operation, **request: Any) -> list[Any]:
        """What its lists hold, of all pages together."""
        return [item for page in await self.pages(operation, **request) for item in at(page, operation.items) or ()]

    async def pages(self, operation: Operation, *, region: str | None = None, **request: Any) -> list[Page]:
        """All pages; none when the error is one of those the operation calls absent. Raises AwsError, ProbeError."""
        key = ("aws", self.account.params.account, operation, region, json.dumps(request, sort_keys=True, default=str))
        return await self.context.once(key, lambda: self.reduce(operation, self._listed, request, region=region))

    async def reduce(
        self,
        operation: Operation,
        work: Callable[[Iterator[Page]], T],
        request: Mapping[str, Any],
        *,
        region: str | None = None,
        seconds: float | None = None,
    ) -> T:
        """What `work` makes of the pages, in a thread, as they come; not shared with other checks.

        It may take `seconds`, or what is left of the look's time. Raises AwsError, ProbeError, TimeoutError.
        """
        if operation not in self._operations:
            raise ValueError(f"{operation.action} is not declared by this probe")
        self.doing = operation.action
        absent = False

        def pages() -> Iterator[Page]:
            nonlocal absent
            try:
                yield from self.account.pages(operation, region, dict(request))
            except Exception as error:  # noqa: BLE001 - one that is not the client library's is raised as it is
                failure = self._explain(error, operation, request, region)
                absent = isinstance(failure, AwsError) and failure.code in operation.absent
                if not absent:
                    raise failure from None

        try:
            return await self.account.run(lambda: work(pages()), seconds or self.left)
        except ProbeError as error:
            if error.kind == "auth":
                await forget(self.account, self.context)
            raise

    def _listed(self, pages: Iterator[Page]) -> list[Page]:
        found: list[Page] = []
        for page in pages:
            found.append(page)
            if len(found) > _PAGES_MAX or self.account.read > _LIST_MAX:
                raise ProbeError(f"there is too much to list ({self.doing}): narrow what is looked at", "limit")
        return found

    def _explain(
        self, error: Exception, operation: Operation, request: Mapping[str, Any], region: str | None
    ) -> Exception:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.parsers import ResponseParserError

        params = self.account.params
        if isinstance(error, ClientError):
            return explain_answer(error, operation, request)
        if isinstance(error, StoppedError):
            return TimeoutError()
        if isinstance(error, TooLongError):
            return ProbeError(f"an answer is longer than {ANSWER_MAX // 1_000_000} MB ({operation.action})", "limit")
        if isinstance(error, BotoCoreError | HTTPClientError | ResponseParserError | NotAwsError):
            where = region or params.region or "(none)"
            host = (params.endpoint_url or f"{operation.service} in {where}").rpartition("/")[2]
            return explain_failure(error, profile=params.profile, region=where, host=host)
        return error


async def if_told(what: str, asking: Awaitable[T]) -> tuple[T | None, str]:
    """What is worth having beside the rest, and "". None, and a note with the reason, where AWS does not tell."""
    try:
        return await asking, ""
    except ProbeError as error:
        return None, f"no {what}: {error.reason}"


def at(page: Mapping[str, Any], path: str) -> Any:
    """What is at a path such as DistributionList.Items; None when it is not there."""
    found: Any = page
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


class AwsProbe:
    """A probe of AWS. `operations` is all it may ask, `needs` what a look with given parameters may.

    The client takes nothing else from a look, and what policies are made of is the same.
    """

    Params: ClassVar[type[base.Params]]
    measures: ClassVar[Mapping[str, MeasureInfo]]
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    operations: ClassVar[tuple[Operation, ...]]

    def measures_for(self, params: Any) -> Mapping[str, MeasureInfo] | None:
        """All that are documented."""
        return self.measures

    def needs(self, params: Any) -> tuple[Operation, ...]:
        """Those of its operations that a look with these parameters may ask."""
        return self.operations

    def fields(self, params: Any) -> Fields:
        """What fields of its requests will be: buckets, instances, log groups."""
        return {}

    def allows(self, params: Any) -> tuple[tuple[AwsParams, Allowed], ...]:
        """What must be allowed for a look with these parameters, and as whom it asks."""
        fields = self.fields(params)
        return tuple((params, one) for operation in self.needs(params) for one in allowed(operation, fields))

    async def run(self, params: Any, context: ProbeContext) -> Observation:
        """Look once, within the check's time."""
        aws = Asker(await account_of(params, context), context, self.needs(params))
        try:
            async with asyncio.timeout(patience(context.timeout)):
                return await self.look(params, aws)
        except TimeoutError:
            # without a question of its own, it waited for what another check had asked
            waited = aws.doing or self.needs(params)[0].action
            raise ProbeError(no_answer(context.timeout, waited), "timeout") from None

    def look(self, params: Any, aws: Asker) -> Coroutine[Any, Any, Observation]:
        """What a probe adds to this."""
        raise NotImplementedError

    def measured(self, found: Mapping[str, float | str | None]) -> tuple[Measurement, ...]:
        """Measurements with the units of their documentation; None is absent."""
        return tuple(
            Measurement(name, value if isinstance(value, str) else float(value), self.measures[name].unit)
            for name, value in found.items()
            if value is not None
        )


def count_of(text: str) -> MeasureInfo:
    """A documented number of things."""
    return MeasureInfo(Unit.COUNT, text)


def text_of(text: str) -> MeasureInfo:
    """A documented word."""
    return MeasureInfo(Unit.TEXT, text)
