"""Whether a request comes from whom it says: signatures over its body, compared in constant time. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

MAX_SIGNATURES = 10  # of one request: several while secrets are changed
WINDOW = timedelta(minutes=5)  # in which a request of Slack's is taken


def is_pagerdutys(secrets: Iterable[str], header: str, body: bytes) -> bool:
    """`header`: "v1=<hex>,v1=<hex>", one for each secret PagerDuty knows. One that fits one of ours is enough.

    https://developer.pagerduty.com/docs/verifying-webhook-signatures
    """
    given = [part.strip() for part in header.split(",")[:MAX_SIGNATURES]]
    fits = False
    for secret in secrets:
        expected = "v1=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
        for signature in given:  # all of them, so that the time says nothing of which one fits
            fits |= hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
    return fits


def slacks_problem(secret: str, timestamp: str, signature: str, body: bytes, now: datetime) -> str:
    """Why a request is not taken for Slack's, "" when it is.

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return "it has no X-Slack-Request-Timestamp"
    expected = "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        return "its signature is wrong"
    if abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        return "it is older than five minutes, or a clock is wrong"
    return ""
