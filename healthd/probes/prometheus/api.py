"""Asking the HTTP API of Prometheus or Alertmanager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthd.model.outcomes import ProbeError
from healthd.probes.base import ProbeContext
from healthd.probes.json_api import ApiParams, Reply, fetch, refusal
from healthd.probes.network import patience
from healthd.probes.prometheus.series import ResultError, Series, read_result

_SERIES_MAX = 1000


async def ask(
    server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext, most: int | None = None
) -> Any:
    """The JSON answer, asked once for all checks of a batch; at most `most` bytes. Raises ProbeError."""
    reply = await fetch(server, path, form, context, most)
    if 200 <= reply.status < 300 and reply.document is not None:
        return reply.document
    raise _refusal(server, reply)


def _refusal(server: ApiParams, reply: Reply) -> ProbeError:
    answer = reply.document
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        said = server.redact(answer["error"])[:500]
        kind = {"bad_data": "config", "timeout": "timeout"}.get(str(answer.get("errorType")), "protocol")
        return ProbeError(f"{server.url} refused the question: {said}", kind=kind)
    return refusal(server, reply.status)


def range_form(query: str, begin: float, end: float, step: float, context: ProbeContext) -> dict[str, str]:
    """The question of a range query; times in seconds since 1970."""
    limit = f"{patience(context.timeout) * 1000:.0f}ms"
    return {"query": query, "timeout": limit, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}


def series_of(server: ApiParams, answer: Any) -> list[Series]:
    """The series of a query's answer. Raises ProbeError when it is none, or has too many of them."""
    try:
        found = read_result(answer["data"])
    except (ResultError, KeyError, TypeError) as error:
        words = str(error) if isinstance(error, ResultError) else "the answer is not one of Prometheus"
        raise ProbeError(f"{server.url}: {words}", kind="protocol") from None
    if len(found) > _SERIES_MAX:
        raise ProbeError(f"the query gives {len(found)} series, more than {_SERIES_MAX}: aggregate", kind="limit")
    return found
