"""Slack, and what all channels share: how answers and failures on the wire become errors."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError
from healthd.notify import CHANNELS, Channel, build_channel, compose_test
from tests.servers.process import free_port
from tests.servers.receiver import Answer, Receiver
from tests.telling import AT, make_message

PATH = "/services/T0000/B0000/verysecrettoken"


def slack(url: str, **options: object) -> Channel:
    return build_channel(ChannelSpec("team", "slack", {"webhook_url": url, "timeout": "1s", **options}))


@pytest.fixture
async def channel(receiver: Receiver) -> AsyncIterator[Channel]:
    made = slack(receiver.url + PATH)
    yield made
    await made.close()


async def refused(channel: Channel) -> ChannelError:
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert "verysecrettoken" not in str(error.value)
    return error.value


async def test_posts_blocks_with_a_fallback(channel: Channel, receiver: Receiver) -> None:
    await channel.send(make_message())
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["content-type"] == "application/json"
    assert request.json["text"].startswith("Firing (CRITICAL): The Shop: Shop front is slow")
    assert request.json["blocks"][0]["type"] == "header"


@pytest.mark.parametrize("word", ["invalid_blocks", "msg_blocks_too_long"])
async def test_blocks_that_slack_does_not_take_cost_no_message(channel: Channel, receiver: Receiver, word: str) -> None:
    receiver.script([(400, {}, word)])
    await channel.send(make_message())
    blocks, text = (request.json for request in receiver.requests)
    assert text == {"text": blocks["text"]}


async def test_a_test_message_is_marked_as_one(channel: Channel, receiver: Receiver) -> None:
    await channel.send(compose_test("team", AT, "https://healthd.example"))
    assert receiver.requests[0].json["text"].startswith("Test: ")


async def test_connections_are_reused(channel: Channel, receiver: Receiver) -> None:
    await channel.send(make_message())
    for _ in range(20):
        await channel.send(make_message())
    assert len(receiver.requests) == 21
    assert len({request.peer for request in receiver.requests}) == 1


@pytest.mark.parametrize(
    ("answer", "permanent", "words"),
    [
        ((400, {}, "invalid_payload"), True, "400 Bad Request: invalid_payload"),
        ((403, {}, "action_prohibited"), True, "an administrator of the workspace forbids"),
        ((404, {}, "no_service"), True, "make a new one"),
        ((410, {}, "channel_is_archived"), True, "unarchive"),
        (401, True, "401 Unauthorized"),
        (
            (302, {"Location": "https://elsewhere.example/secret"}),
            True,
            "a redirect to https://elsewhere.example, which",
        ),
        (408, False, "408"),
        (425, False, "425"),
        (429, False, "429 Too Many Requests"),
        (500, False, "500 Internal Server Error"),
        (503, False, "503"),
        (599, False, "599"),
        ((200, {}, "<html>please log in</html>"), True, "web page"),
        ("hang", False, "did not answer within 1 s"),
        ("drip", False, "did not answer within 1 s"),
        ("trickle", False, "did not answer within 1 s"),
        ("heads", False, "the answer is not HTTP"),
        ((307, {"Location": "http://169.254.169.254/latest/meta-data/"}), True, "a redirect to http://169.254.169.254"),
        ("garbage", False, "the answer is not HTTP"),
        ("reset", False, "the connection broke"),
        ("close", False, "closed the connection without an answer"),
        ("huge", False, "more than 64 kB"),
    ],
    ids=str,
)
async def test_answers(channel: Channel, receiver: Receiver, answer: Answer, permanent: bool, words: str) -> None:
    receiver.script([answer])
    started = time.monotonic()
    error = await refused(channel)
    assert words in error.reason
    assert error.permanent is permanent
    assert time.monotonic() - started < 10
    await channel.send(make_message())  # and the channel goes on working


async def test_a_huge_answer_is_not_read(channel: Channel, receiver: Receiver) -> None:
    receiver.script(["huge"])
    await refused(channel)
    assert receiver.sent_bytes < 20_000_000


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("1.5", 1.5, 1.5),
        (timedelta(seconds=90), 60, 90),  # as a date
        (timedelta(days=-1), 0, 0),
        ("99999999", 3600, 3600),
    ],
    ids=str,
)
async def test_retry_after_is_honoured_within_reason(
    channel: Channel, receiver: Receiver, status: int, header: str | timedelta, low: float, high: float
) -> None:
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    receiver.script([(status, {"Retry-After": header})])
    retry_after = (await refused(channel)).retry_after
    assert retry_after is not None
    assert low <= retry_after <= high


@pytest.mark.parametrize("header", ["soon", "-5", "nan", "inf", "", "Fri, 99 Foo 2026 00:00:00 GMT", "1" * 5000])
async def test_an_unreadable_retry_after_says_nothing(channel: Channel, receiver: Receiver, header: str) -> None:
    receiver.script([(429, {"Retry-After": header})])
    assert (await refused(channel)).retry_after is None


async def test_the_excerpt_of_an_answer_is_short_clean_and_redacted(channel: Channel, receiver: Receiver) -> None:
    receiver.script([(500, {}, f"\x00\x1b[31m  posted to {PATH}\n token=abcdef123456 " + "y" * 5000)])
    reason = (await refused(channel)).reason
    assert "abcdef123456" not in reason
    assert reason.isprintable()
    assert len(reason) < 300


async def test_nobody_listens() -> None:
    channel = slack(f"http://127.0.0.1:{free_port()}{PATH}")
    error = await refused(channel)
    assert "cannot connect" in error.reason
    assert error.reason.endswith("cannot connect: Connection refused")
    assert not error.permanent
    await channel.close()


async def test_a_name_that_does_not_resolve() -> None:
    channel = slack(f"http://no-such-host.invalid{PATH}")
    error = await refused(channel)
    assert error.reason.startswith("no-such-host.invalid: cannot connect:")
    await channel.close()


async def test_tls_against_a_server_without_it(receiver: Receiver) -> None:
    channel = slack(receiver.url.replace("http://", "https://") + PATH)
    error = await refused(channel)
    assert "cannot connect" in error.reason
    await channel.close()


async def test_closing_twice_or_unused_is_fine(receiver: Receiver) -> None:
    channel = slack(receiver.url)
    await channel.close()
    await channel.send(make_message())
    await channel.close()
    await channel.close()


@pytest.mark.parametrize(
    "options",
    [
        {"webhook_url": "not-a-url-verysecrettoken"},
        {"webhook_url": "ftp://host/verysecrettoken"},
        {"webhook_url": "https:///verysecrettoken"},
        {"webhook_url": "https://host:99999/verysecrettoken"},
        {"webhook_url": "https://host/x", "chanel": "verysecrettoken"},
        {},
        {"webhook_url": "https://host/x", "timeout": "0s"},
        {"webhook_url": "https://host/x", "timeout": "verysecrettoken"},
    ],
)
def test_wrong_options_are_refused_without_repeating_them(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as error:
        CHANNELS["slack"].Options.model_validate(options)
    if "timeout" not in options:
        assert "verysecrettoken" not in str(error.value)


def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    options = CHANNELS["slack"].Options.model_validate({"webhook_url": f"https://hooks.example{PATH}"})
    spec = ChannelSpec("team", "slack", options)
    assert "verysecrettoken" not in f"{spec!r} {options.model_dump_json()} {caplog.text}"


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown type 'pigeon': expected one of .*pagerduty, slack,"):
        build_channel(ChannelSpec("team", "pigeon", {}))
