"""The `http` probe itself: ask, examine, measure. See docs/probes/http.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Observation
from healthd.probes.base import DOWN, MeasureInfo, Params, ProbeContext
from healthd.probes.http.assertions import looks
from healthd.probes.http.measures import MEASURES
from healthd.probes.http.params import HttpParams
from healthd.probes.network import patience
from healthd.probes.patterns import apart_if_costly
from healthd.probes.scale import base_unit


class HttpProbe:
    """One request over a new connection. `up` is 1 only when the answer is all that the parameters expect."""

    Params: ClassVar[type[Params]] = HttpParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = MEASURES
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)

    def measures_for(self, params: HttpParams) -> Mapping[str, MeasureInfo]:
        """The fixed measures and the extracted ones."""
        extracted = {
            name: MeasureInfo(base_unit(extraction.unit) if extraction.unit else None, f"{extraction.path} of the body")
            for name, extraction in params.extract.items()
        }
        headers = {name: MeasureInfo(None, f"the {h} header") for name, h in params.extract_headers.items()}
        return {**MEASURES, **extracted, **headers}

    async def run(self, params: HttpParams, context: ProbeContext) -> Observation:
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
                return await observe.failed(error, params, trail, timings, context)
        judge = partial(observe.answered, params, answer, trail, timings, context)
        return await apart_if_costly(looks(params, answer), judge)
