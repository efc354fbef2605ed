"""The generic webhook, held against the reference library of Standard Webhooks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError
from healthd.notify import CHANNELS, Channel, build_channel
from tests.servers.receiver import Receiver
from tests.telling import make_incident, make_message

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(receiver: Receiver, **options: object) -> Channel:
    options = {"url": receiver.url + "/hook?token=verysecrettoken", "secret": SECRET, "timeout": "2s", **options}
    return build_channel(ChannelSpec("hook", "webhook", options))


async def test_is_signed_so_that_the_reference_library_accepts_it(receiver: Receiver) -> None:
    channel = webhook(receiver)
    message = make_message(incident=make_incident(title="grün & 😀", reason="half a character: \ud83d"))
    await channel.send(message)
    (request,) = receiver.requests
    payload = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert payload == {"type": "incident.firing", "timestamp": message.body["at"], "data": dict(message.body)}
    assert request.headers["webhook-id"] == message.id
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", dict(request.headers))
    await channel.close()


async def test_a_retry_has_the_same_id_and_a_fresh_timestamp(receiver: Receiver) -> None:
    moments = iter([datetime.now(UTC) - timedelta(hours=3), datetime.now(UTC)])
    options = {"url": receiver.url, "secret": SECRET}
    channel = build_channel(ChannelSpec("hook", "webhook", options), now=lambda: next(moments))
    message = make_message()
    await channel.send(message)
    await channel.send(message)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(first.body, dict(first.headers))
    Webhook(SECRET).verify(second.body, dict(second.headers))
    await channel.close()


async def test_unsigned_only_when_asked_for(receiver: Receiver) -> None:
    channel = webhook(receiver, secret=None, unsigned=True)
    await channel.send(make_message())
    (request,) = receiver.requests
    assert "webhook-signature" not in request.headers
    assert request.headers["webhook-id"] == "INC-1-1-team"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    await channel.close()


async def test_own_headers_are_sent_and_kept_out_of_errors(receiver: Receiver) -> None:
    channel = webhook(receiver, headers={"Authorization": "Bearer abcdefgh12345"})
    receiver.script([(401, {}, "you sent abcdefgh12345 and Bearer abcdefgh12345 to ?token=verysecrettoken")])
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert receiver.requests[0].headers["authorization"] == "Bearer abcdefgh12345"
    assert "verysecrettoken" not in str(error.value)
    assert "Bearer abcdefgh12345" not in str(error.value)
    await channel.close()


@pytest.mark.parametrize(("status", "permanent"), [(410, True), (404, True), (429, False), (502, False)])
async def test_answers(receiver: Receiver, status: int, permanent: bool) -> None:
    channel = webhook(receiver)
    receiver.script([status])
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert error.value.permanent is permanent
    await channel.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_acceptance(receiver: Receiver, status: int) -> None:
    channel = webhook(receiver)
    receiver.script([status])
    await channel.send(make_message())
    await channel.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no secret"),
        ({"secret": SECRET, "unsigned": True}, "keep one"),
        ({"secret": "whsec_"}, "not a signing secret"),
        ({"secret": "whsec_not base64!"}, "not a signing secret"),
        ({"secret": "plain words, verysecrettoken"}, "not a signing secret"),
        ({"unsigned": True, "headers": {"X-Token": "a\nb"}}, "header"),
        ({"unsigned": True, "headers": {"Webhook-Id": "x"}}, "header"),
    ],
)
def test_wrong_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as error:
        CHANNELS["webhook"].Options.model_validate({"url": "https://x.example/verysecrettoken", **options})
    assert "verysecrettoken" not in str(error.value)
