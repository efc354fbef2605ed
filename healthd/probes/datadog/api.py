"""Asking Datadog's HTTP API, version 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from healthd.model.outcomes import ProbeError
from healthd.probes.base import ProbeContext
from healthd.probes.json_api import ApiParams, fetch, refusal

_ANSWER_MAX = 5_000_000


class DatadogParams(ApiParams):
    """The keys, and the site they belong to."""

    url: str = Field("https://api.datadoghq.com", repr=False)
    api_key: SecretStr
    app_key: SecretStr

    def sent_headers(self) -> dict[str, str]:
        """Header names to values: secrets."""
        keys = {"DD-API-KEY": self.api_key, "DD-APPLICATION-KEY": self.app_key}
        return super().sent_headers() | {name: key.get_secret_value().strip() for name, key in keys.items()}

    def secrets(self) -> list[str]:
        """Everything that must not be shown."""
        return [*super().secrets(), self.api_key.get_secret_value().strip(), self.app_key.get_secret_value().strip()]


async def ask(params: DatadogParams, path: str, form: Mapping[str, str], context: ProbeContext, scope: str) -> Any:
    """The answer. Raises ProbeError; one of kind forbidden names the `scope` the application key needs."""
    reply = await fetch(params, path, form, context, _ANSWER_MAX)
    if reply.status == 429:
        reset = reply.headers.get("X-RateLimit-Reset")
        again = f"; again in {reset}s" if reset else ""
        raise ProbeError(f"{params.url} was asked too often{again}", "limit")
    if reply.status == 403:
        raise ProbeError(
            f"{params.url} refused access: the keys are wrong, of another site, or the application key lacks {scope}",
            "forbidden",
        )
    document = reply.document
    said = _errors(document)
    if said and reply.status != 401:
        kind = "config" if reply.status < 500 else "protocol"
        raise ProbeError(f"{params.url} refused the question: {params.redact(said)[:500]}", kind)
    if reply.status != 200 or document is None:
        raise refusal(params, reply.status)
    return document


def _errors(document: Any) -> str:
    """What Datadog complains of: it does so with status 200 as well."""
    if not isinstance(document, dict):
        return ""
    if errors := document.get("errors"):
        return "; ".join(map(str, errors)) if isinstance(errors, list) else str(errors)
    if document.get("status") == "error":
        return str(document.get("error") or document.get("message") or "error")
    return ""
