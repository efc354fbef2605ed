"""Going through the steps one by one, with one set of cookies and captured values, up to the first that fails."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

from aiohttp import CookieJar
from yarl import URL

from healthd.model.outcomes import Evidence, Measurement
from healthd.model.units import Unit
from healthd.probes.base import ProbeContext
from healthd.probes.http import observe
from healthd.probes.http.assertions import Findings, examine, looks
from healthd.probes.http.exchange import Answer, Trail, exchange, session_for
from healthd.probes.http.failures import FAILURES, explain
from healthd.probes.http.request import Request, shown
from healthd.probes.http.timings import timed
from healthd.probes.http_journey.capture import captured
from healthd.probes.http_journey.capture import looks as capture_looks
from healthd.probes.http_journey.params import JourneyParams, Step
from healthd.probes.http_journey.template import as_text
from healthd.probes.network import patience
from healthd.probes.patterns import apart_if_costly

_SECRET_KEY = re.compile(r"passw|secret|token|key|pin\b|otp|code", re.IGNORECASE)


class StepFailedError(Exception):
    """The step was not answered, or not as expected."""

    def __init__(self, note: str, evidence: list[Evidence]) -> None:
        super().__init__(note)
        self.evidence = evidence


@dataclass(slots=True)
class Walk:
    """One journey under way. `failed` is the step that went wrong first."""

    params: JourneyParams
    context: ProbeContext
    jar: CookieJar = field(default_factory=lambda: CookieJar(unsafe=True))  # unsafe: also for IP addresses
    values: dict[str, Any] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    measurements: list[Measurement] = field(default_factory=list)
    done: int = 0
    failed: Step | None = None
    failure: StepFailedError | None = None
    _previous: URL | None = None

    async def run(self) -> None:
        """Take the steps. After a failure only those that clean up, where they have what they need."""
        self.values |= {"run_id": secrets.token_hex(6), "timestamp": int(self.context.now.timestamp())}
        deadline = asyncio.get_running_loop().time() + patience(self.context.timeout)
        for step in self.params.steps:
            if self.failed is not None and not (step.cleanup and self.values.keys() >= set(step.needs())):
                continue
            try:
                await self._take(step, deadline)
                self.done += 1
            except StepFailedError as failure:
                if self.failed is None:
                    self.failed, self.failure = step, failure

    async def _take(self, step: Step, deadline: float) -> None:
        filled = step.filled(self.values, self.params)
        session = await session_for(self.context.resources, filled.tls, filled.ip)
        trail = Trail(self._request(filled), jar=self.jar)
        with timed() as timings:
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await exchange(session, filled, trail, timings, self.context.limits.max_body_bytes)
            except FAILURES as error:
                trail.request = self._with_secrets(trail.request)
                note = explain(error, trail, timings, self.context.timeout)
                raise StepFailedError(note, observe.redirects(trail)) from None
        self._previous = trail.request.url
        patterns = [*capture_looks(step.capture, answer), *looks(filled, answer)]
        await apart_if_costly(patterns, partial(self._examine, step, filled, answer, trail))

    def _examine(self, step: Step, filled: Step, answer: Answer, trail: Trail) -> None:
        self.measurements += [
            Measurement("step_latency", answer.latency, Unit.SECONDS, step.name),
            Measurement("step_status", float(answer.status), Unit.COUNT, step.name),
        ]
        cookies = {cookie.key: cookie.value for cookie in self.jar}
        values, missing = captured(step.capture, answer, cookies)
        self.values |= values
        self.known |= {as_text(v) for name, v in values.items() if step.capture[name].secret} | set(cookies.values())
        found: Findings = examine(filled, answer)
        self.measurements += [m for m in found.measurements if m.name != "body_match"]
        problems = found.problems + missing
        if problems:
            trail.request = self._with_secrets(trail.request)
            note = trail.request.redact("; ".join((problems + found.gaps)[:4]))
            raise StepFailedError(note, [*observe.redirects(trail), *observe.response(trail, answer)])

    def _request(self, step: Step) -> Request:
        """The request of a step whose URL may be a path, after the journey's URL or the one asked before."""
        url = step.url
        if url.startswith("/") and self.params.url is not None:
            url = self.params.url + url
        elif "://" not in url and self._previous is not None:
            url = _joined(self._previous, url)
        try:
            asked = URL(url)
        except ValueError:
            raise StepFailedError("its URL, with what was captured, is none", []) from None
        if asked.scheme not in ("http", "https") or not asked.host:
            raise StepFailedError(f"its URL, with what was captured, cannot be asked: {shown(asked)}", [])
        self.known |= set(_secret_words(step.body_json))
        return self._with_secrets(Request.of(step.model_copy(update={"url": url})))

    def _with_secrets(self, request: Request) -> Request:
        return replace(request, secrets=(*request.secrets, *self.known))


def _joined(previous: URL, url: str) -> str:
    try:
        return str(previous.join(URL(url)))
    except ValueError:
        raise StepFailedError("its URL, with what was captured, is none", []) from None


def _secret_words(body: Any) -> Iterator[str]:
    """Texts of a JSON body under keys such as `password`: a server may repeat them in its answer."""
    for key, value in body.items() if isinstance(body, Mapping) else ():
        if isinstance(value, str) and _SECRET_KEY.search(key):
            yield value
        yield from _secret_words(value)


async def walk(params: JourneyParams, context: ProbeContext) -> Walk:
    """The journey at its end, good or bad, with `latency` if it was good. Raises ProbeError (kind config, limit)."""
    journey = Walk(params, context)
    began = perf_counter()
    await journey.run()
    if journey.failed is None:
        journey.measurements.insert(0, Measurement("latency", perf_counter() - began, Unit.SECONDS))
    return journey
