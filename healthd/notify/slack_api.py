"""Slack's Web API: one call, its answer, and its errors in words a person can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from healthd.model.incidents import ChannelError
from healthd.notify import http
from healthd.notify.context import Context

MAX_ANSWER = 4 * 1024 * 1024  # bytes: a page of a channel's history
RATE_LIMITED = 30.0  # seconds, where Slack does not say how long to wait
_TRANSIENT = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
                        "request_timeout", "accesslimited"})  # fmt: skip
ADVICE = MappingProxyType(
    {
        "invalid_auth": "the token is wrong or of another workspace: check it",
        "not_authed": "there is no token: check it",
        "account_inactive": "the app was removed from the workspace: install it again and use its new token",
        "token_revoked": "the token was revoked: install the app again and use its new token",
        "token_expired": "the token has expired: switch token rotation off, or use a new one",
        "not_in_channel": "invite the app to the channel (/invite), or give it the scope chat:write.public",
        "channel_not_found": "there is no such channel, or the app is not in it: check its name, and invite the app",
        "is_archived": "unarchive the channel, or name another one",
        "missing_scope": "give the app the scope it needs, and install it again",
        "restricted_action": "an administrator of the workspace forbids this",
        "ekm_access_denied": "an administrator of the workspace forbids posting",
        "not_allowed_token_type": "this needs a bot's token (xoxb-...)",
        "name_taken": "there is a channel of this name already",
        "user_is_restricted": "the app's user is restricted",
    }
)


class SlackError(ChannelError):
    """Slack answered "ok": false. `word` is its error."""

    def __init__(self, method: str, word: str, needed: str, retry_after: float | None) -> None:
        advice = f" ({ADVICE[word]})" if word in ADVICE else ""
        scope = f", it needs {needed}" if needed else ""
        transient = word in _TRANSIENT
        super().__init__(
            f"Slack answered {word} to {method}{scope}{advice}", retry_after=retry_after, permanent=not transient
        )
        self.word = word


class SlackApi:
    """Calls with a bot's token, which appears in no error."""

    def __init__(self, url: SecretStr, token: SecretStr, timeout: timedelta, context: Context) -> None:
        secret = token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json; charset=utf-8"}
        address = SecretStr(url.get_secret_value().rstrip("/") + "/")
        self._http = http.HttpSender(address, now=context.now, timeout=timeout, secrets=[secret], max_answer=MAX_ANSWER)

    async def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """For what writes. Raises SlackError for an error of Slack's, ChannelError when there is no proper answer."""
        return self._judge(method, await self._http.post(http.encode(arguments), self._headers, method))

    async def ask(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """For what reads: these methods take forms."""
        form = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        return self._judge(method, await self._http.post(urlencode(arguments).encode(), form, method))

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()

    def _judge(self, method: str, accepted: http.Accepted) -> dict[str, Any]:
        try:
            answer = json.loads(accepted.body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or "ok" not in answer:
            raise ChannelError(f"answered {accepted.status} with what is no answer of Slack's API", permanent=True)
        if answer["ok"]:
            return answer
        word = "".join(c for c in str(answer.get("error", "an error"))[:60] if c.isalnum() or c in "_-")
        needed = "".join(c for c in str(answer.get("needed", ""))[:100] if c.isalnum() or c in "_-:.,")
        limited = word in ("ratelimited", "rate_limited")
        raise SlackError(method, word, needed, RATE_LIMITED if limited else None)


def seconds(at: datetime) -> str:
    """A moment as Slack writes them."""
    return f"{at.timestamp():.6f}"
