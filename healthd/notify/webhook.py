"""Any HTTP receiver: JSON, signed as Standard Webhooks specifies (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from standardwebhooks import Webhook as Signer

from healthd.model.incidents import Message
from healthd.notify import http
from healthd.notify.context import Context

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a header's name, RFC 9110 5.6.2
_RESERVED = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "content-type", "host"}
    | {"transfer-encoding", "connection", "accept-encoding"}
)


def _check_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().removeprefix("whsec_")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded:
        raise ValueError(
            'not a signing secret: expected "whsec_" and base64; make one with: '
            "python3 -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
        )
    return secret


def check_headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    """Headers a user may set. Raises ValueError, never repeating a value."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED:
            raise ValueError(f"{name!r} is no header that can be set here")
        if not value.get_secret_value().isprintable() or not value.get_secret_value().isascii():
            raise ValueError(f"the value of header {name} must be one line of ASCII")
    return headers


class SignedWebhook:
    """Posts `{"type": "incident.firing", "timestamp": ..., "data": <body>}` with the three webhook-* headers.

    `webhook-id` is the message's id and the same for every attempt, so that a receiver can drop repetitions.
    """

    class Options(http.Options):
        """`secret`: whsec_ and base64. Sending without one must be asked for: `unsigned: true`. `headers`: sent along,
        for receivers that want a token."""

        url: http.SecretUrl
        secret: Annotated[SecretStr, AfterValidator(_check_secret)] | None = Field(
            None, description='"whsec_" and base64, such as whsec_c2VjcmV0c2VjcmV0c2VjcmV0'
        )
        unsigned: bool = False
        headers: Annotated[Mapping[str, SecretStr], AfterValidator(check_headers)] = Field(default_factory=dict)

        @model_validator(mode="after")
        def _signed_or_not(self) -> Self:
            if self.secret is None and not self.unsigned:
                raise ValueError("no secret, so receivers could not tell who sends: give one, or say unsigned: true")
            if self.secret is not None and self.unsigned:
                raise ValueError("both a secret and unsigned: true: keep one")
            return self

    def __init__(self, options: Options, context: Context) -> None:
        secret = options.secret.get_secret_value() if options.secret else ""
        self._signer = Signer(secret) if secret else None
        self._headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._now = context.now
        self._http = http.HttpSender(
            options.url,
            now=context.now,
            timeout=options.timeout,
            secrets=[secret, secret.removeprefix("whsec_"), *self._headers.values()],
        )

    async def send(self, message: Message) -> None:
        """Post once. Any 2xx is acceptance; 410 Gone and other 4xx are permanent ChannelErrors."""
        content = http.encode({"type": kind_of(message), "timestamp": message.body["at"], "data": message.body})
        await self._http.post(content, self._headers | self._signed(message.id, content))

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()

    def _signed(self, message_id: str, content: bytes) -> dict[str, str]:
        now = self._now()  # fresh for every attempt: receivers refuse a signature older than some minutes
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(message_id, now, content.decode())
        return headers


def kind_of(message: Message) -> str:
    """What receivers tell messages apart by: incident.firing, notice.report."""
    notice = message.body.get("notice")
    return f"notice.{notice['kind']}" if notice else f"incident.{message.event}"
