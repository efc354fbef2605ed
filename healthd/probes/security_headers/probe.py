"""The `http_headers` probe itself. See docs/probes/http_headers.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import DOWN, Duration, MeasureInfo, Params, ProbeContext
from healthd.probes.http.params import RequestParams
from healthd.probes.network import patience
from healthd.probes.security_headers.rules import DEFAULTS, WEIGHTS, Subject, grade, hsts_max_age, letter, score

if TYPE_CHECKING:
    from healthd.probes.http.exchange import Answer, Trail

_NOTED = 4


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in WEIGHTS:
            raise ValueError(f"{name!r} is no rule: expected some of {', '.join(WEIGHTS)}")
    return tuple(dict.fromkeys(names))


class HeadersParams(RequestParams):
    """The request, and which rules are applied."""

    rules: Annotated[tuple[str, ...], AfterValidator(_known)] = Field(DEFAULTS, min_length=1)
    hsts_min_age: Duration = timedelta(days=180)


class HttpHeadersProbe:
    """One request; its answer's headers against what protects users of a site."""

    Params: ClassVar[type[Params]] = HeadersParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when an answer came, whatever its status, otherwise 0"),
        "status": MeasureInfo(Unit.COUNT, "status code of the final response"),
        "score": MeasureInfo(Unit.RATIO, "weight of the rules that are kept, of all"),
        "grade": MeasureInfo(Unit.TEXT, "the score as a letter, A to F"),
        "missing": MeasureInfo(Unit.COUNT, "rules that are not kept"),
        "header": MeasureInfo(Unit.COUNT, "1 when the rule is kept, otherwise 0; series: the rule"),
        "hsts_max_age": MeasureInfo(Unit.SECONDS, "how long browsers are to insist on TLS; absent without the header"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        DOWN,
        Threshold("missing", warning=parse_condition("> 0"), name="missing", missing=Level.OK),
    )

    def measures_for(self, params: HeadersParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: HeadersParams, context: ProbeContext) -> Observation:
        """Ask once. A server that cannot be reached is `up` 0; raises ProbeError for the check's own mistakes."""
        from healthd.probes.http import exchange, observe
        from healthd.probes.http.failures import FAILURES
        from healthd.probes.http.timings import timed

        session = await exchange.session_for(context.resources, params.tls, params.ip, keepalive=params.keepalive)
        trail = exchange.Trail(params.request)
        with timed() as timings:
            try:
                async with asyncio.timeout(patience(context.timeout)):
                    answer = await exchange.exchange(session, params, trail, timings, context.limits.max_body_bytes)
            except FAILURES as error:
                failure = await observe.failed(error, params, trail, timings, context)
                return Observation(failure.measurements[:1], failure.evidence, failure.note)
        return _graded(params, answer, trail)


def _graded(params: HeadersParams, answer: Answer, trail: Trail) -> Observation:
    subject = Subject(
        answer.headers,  # type: ignore[arg-type]  # aiohttp's, which can hold several of one name
        trail.request.url.scheme == "https",
        params.hsts_min_age.total_seconds(),
    )
    findings = grade(subject, params.rules)
    ratio = score(findings)
    bad = {name: problems for name, problems in findings.items() if problems}
    measurements = [
        Measurement("up", 1.0, Unit.COUNT),
        Measurement("status", float(answer.status), Unit.COUNT),
        Measurement("score", ratio, Unit.RATIO),
        Measurement("grade", letter(ratio), Unit.TEXT),
        Measurement("missing", float(len(bad)), Unit.COUNT),
        *(Measurement("header", float(name not in bad), Unit.COUNT, name) for name in findings),
    ]
    if (age := hsts_max_age(subject)) is not None:
        measurements.append(Measurement("hsts_max_age", age, Unit.SECONDS))
    lines = [f"{name}: {problem}" for name, problems in bad.items() for problem in problems]
    notes = lines[:_NOTED] + ([f"and {len(lines) - _NOTED} more"] if len(lines) > _NOTED else [])
    if answer.status >= 400:
        notes.insert(0, f"these are the headers of an answer with status {answer.status}")
    redact = trail.request.redact
    evidence = (Evidence("headers", redact("\n".join(lines))[:2000]),) if lines else ()
    return Observation(tuple(measurements), evidence, redact("; ".join(notes)))
