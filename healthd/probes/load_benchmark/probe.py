"""The `load_benchmark` probe itself. See docs/probes/load_benchmark.md."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import urlsplit

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Params, ProbeContext
from healthd.probes.load_benchmark.params import LoadParams, require_allowed
from healthd.probes.network import patience
from healthd.probes.tls_options import tls_context

_STARTING = 2.0  # seconds a process may need to start and to end, of the check's timeout
_LEAST = 1.0
_SHOWN = 10


class LoadBenchmarkProbe:
    """Many requests as fast as they are answered. One benchmark at a time, whatever the number of checks."""

    Params: ClassVar[type[Params]] = LoadParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "completed": MeasureInfo(Unit.COUNT, "requests that were answered or failed within the time"),
        "failures": MeasureInfo(Unit.COUNT, "of these, without an answer or with an unexpected status"),
        "failure_ratio": MeasureInfo(Unit.RATIO, "failures of all completed"),
        "rate": MeasureInfo(Unit.PER_SECOND, "requests completed each second"),
        "mean": MeasureInfo(Unit.SECONDS, "mean latency of those that went well; this and what follows"),
        "p50": MeasureInfo(Unit.SECONDS, "half of them were faster"),
        "p95": MeasureInfo(Unit.SECONDS, "95 of a hundred were faster"),
        "p99": MeasureInfo(Unit.SECONDS, "99 of a hundred were faster"),
        "max": MeasureInfo(Unit.SECONDS, "the slowest"),
        "duration": MeasureInfo(Unit.SECONDS, "the whole benchmark"),
        "throughput": MeasureInfo(Unit.BYTES_PER_SECOND, "bodies as they came over the wire"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("failures", warning=parse_condition("> 0"), name="failures", missing=Level.OK),
    )

    def measures_for(self, params: LoadParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: LoadParams, context: ProbeContext) -> Observation:
        """Run once. Raises ProbeError: forbidden (the settings do not name the host), config, timeout."""
        require_allowed(params.url, context.limits.allowed_load_hosts)
        await tls_context(params.tls, context.resources)  # a file that cannot be read is found out here
        turn: asyncio.Lock = await context.resources.get(LoadBenchmarkProbe, _lock)
        deadline = asyncio.get_running_loop().time() + patience(context.timeout)
        try:
            async with asyncio.timeout_at(deadline):
                async with turn:
                    seconds = deadline - asyncio.get_running_loop().time() - _STARTING
                    if seconds < _LEAST:
                        raise ProbeError(
                            f"no time for it: the check's timeout must be above {_STARTING + _LEAST:g}s,"
                            " and other benchmarks go first",
                            "timeout",
                        )
                    found = await _in_process(_spec(params, seconds))
        except TimeoutError:
            raise ProbeError("the benchmark did not end in time", "timeout") from None
        return _observation(params, found)


async def _lock() -> asyncio.Lock:
    return asyncio.Lock()


def _spec(params: LoadParams, seconds: float) -> dict[str, Any]:
    """All that the process is told; it goes over a pipe, since the command line can be seen by others."""
    from healthd.probes.http.request import Request

    request = Request.of(params.as_request())
    return {
        "url": str(request.url),
        "host": urlsplit(params.url).hostname,
        "method": params.method,
        "headers": dict(request.headers),
        "tls": params.tls.model_dump(mode="json"),
        "server_name": params.tls.server_name,
        "ip": params.ip,
        "proxy": params.proxy.get_secret_value() if params.proxy is not None else None,
        "keepalive": params.keepalive,
        "status": params.status,
        "requests": params.requests,
        "concurrency": min(params.concurrency, params.requests),
        "rate": params.rate,
        "seconds": seconds,
    }


async def _in_process(spec: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "healthd.probes.load_benchmark.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        output, _ = await process.communicate(json.dumps(spec).encode())
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        raise ProbeError(f"the process that makes the requests ended with code {process.returncode}", "error") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return found


def _observation(params: LoadParams, found: Mapping[str, Any]) -> Observation:
    latencies = sorted(found["latencies"])
    failures: Mapping[str, int] = found["failures"]
    failed = sum(failures.values())
    completed = failed + len(latencies)
    duration = found["duration"]
    measurements = [
        Measurement("completed", float(completed), Unit.COUNT),
        Measurement("failures", float(failed), Unit.COUNT),
        Measurement("rate", completed / duration, Unit.PER_SECOND),
        Measurement("duration", duration, Unit.SECONDS),
        Measurement("throughput", found["received"] / duration, Unit.BYTES_PER_SECOND),
    ]
    if completed:
        measurements.append(Measurement("failure_ratio", failed / completed, Unit.RATIO))
    if latencies:
        measurements.append(Measurement("mean", math.fsum(latencies) / len(latencies), Unit.SECONDS))
        measurements += [Measurement(f"p{p}", _percentile(latencies, p), Unit.SECONDS) for p in (50, 95, 99)]
        measurements.append(Measurement("max", latencies[-1], Unit.SECONDS))
    redact = params.as_request().request.redact
    ranked = sorted(failures.items(), key=lambda item: -item[1])
    lines = [f"{count} times: {redact(reason)}" for reason, count in ranked[:_SHOWN]]
    notes = [f"{failed} of {completed} failed: {redact(ranked[0][0])}"] if ranked else []
    if completed < params.requests:
        notes.append(f"{completed} of {params.requests} requests were made in the time there was")
    return Observation(
        tuple(measurements), (Evidence("failures", "\n".join(lines)),) if lines else (), "; ".join(notes)
    )


def _percentile(ranked: Sequence[float], percent: int) -> float:
    """The nearest rank, as load testing tools give it."""
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]
