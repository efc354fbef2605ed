"""Slack through a bot's token: one thread per incident, kept true, found again, and what Slack's errors become."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError, Message, Notice
from healthd.notify import CHANNELS, build_channel, compose_notice, compose_test
from healthd.notify.context import Context, Forgetful
from healthd.notify.dressing import Dressed
from tests.servers.slack import TOKEN, SlackServer
from tests.telling import AT, make_incident, make_message

UPDATE = {"kind": "progress", "text": "still open after 15m"}


class Memory(Forgetful):
    """A memory that can be killed: from `left` writes on, it raises as a process that ends would."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1_000

    async def remember(self, channel: str, key: str, what: Mapping[str, Any], *, open_: bool = False) -> None:
        self.left -= 1
        if self.left < 0:
            raise ChannelError("killed here")
        await super().remember(channel, key, what)


def bot(slack: SlackServer, memory: Forgetful | None = None, **options: Any) -> Dressed:
    given = {"token": TOKEN, "channel": "#ops", "url": slack.url, "timeout": "2s", **options}
    return build_channel(
        ChannelSpec("team", "slack_bot", given), context=Context(memory=memory or Forgetful(), now=lambda: AT)
    )


def message(event: str, number: int, **body: Any) -> Message:
    return make_message(f"INC-1-{number}-team", event=event, **body)


def buttons(posted: dict[str, Any]) -> list[str]:
    return [e["action_id"] for block in posted["blocks"] if block["type"] == "actions" for e in block["elements"]]


async def test_an_incident_is_one_thread_whose_first_message_stays_true(slack_server: SlackServer) -> None:
    channel = bot(slack_server)
    over = make_incident(acknowledged_by="ada", resolved_at=AT)
    await channel.send(message("firing", 1))
    assert buttons(slack_server.messages[0]) == ["healthd_acknowledge", "healthd_silence"]
    await channel.send(message("updated", 2, update=UPDATE))
    await channel.send(message("improved", 3))
    await channel.send(message("worsened", 4))
    await channel.send(message("acknowledged", 5, incident=make_incident(acknowledged_by="ada")))
    (parent,) = slack_server.top()
    assert "acknowledged by ada" in json.dumps(parent["blocks"])
    assert buttons(parent) == ["healthd_silence"]
    await channel.send(message("resolved", 6, incident=over))
    (parent,) = slack_server.top()
    assert parent["text"].startswith("Resolved")
    assert buttons(parent) == []
    replies = slack_server.replies(parent["ts"])
    assert [reply["text"].split(":")[0] for reply in replies] == [
        "Update (CRITICAL)", "Worse (CRITICAL)", "Acknowledged", "Resolved",
    ]  # fmt: skip
    assert [reply.get("reply_broadcast", False) for reply in replies] == [False, True, False, False]
    await channel.close()


async def test_each_half_of_a_message_is_posted_once_wherever_it_is_cut_short(slack_server: SlackServer) -> None:
    """Killed at every write, and with every answer of Slack's lost: the next attempt finds what was posted."""
    memory = Memory()
    for number, event in enumerate(["firing", "updated", "worsened", "resolved"], 1):
        told = message(event, number, update=UPDATE if event == "updated" else None)
        for allowed in range(20):
            memory.left = allowed
            try:
                await bot(slack_server, memory).send(told)
                break
            except ChannelError:
                continue
        memory.left = 1_000
        slack_server.fail("chat.postMessage", "drop")
        if event != "resolved":
            await bot(slack_server, memory).send(told)  # told already: nothing is asked of Slack
    (parent,) = slack_server.top()
    assert len(slack_server.replies(parent["ts"])) == 3


async def test_an_answer_that_is_lost_does_not_repeat_the_message(slack_server: SlackServer) -> None:
    memory = Forgetful()
    slack_server.fail("chat.postMessage", "drop")
    with pytest.raises(ChannelError):
        await bot(slack_server, memory).send(message("firing", 1))
    await bot(slack_server, memory).send(message("firing", 1))
    slack_server.fail("chat.postMessage", "drop")
    with pytest.raises(ChannelError):
        await bot(slack_server, memory).send(message("worsened", 2))
    await bot(slack_server, memory).send(message("worsened", 2))
    (parent,) = slack_server.top()
    assert len(slack_server.replies(parent["ts"])) == 1


async def test_a_first_message_that_was_deleted_is_posted_anew_with_a_note(slack_server: SlackServer) -> None:
    channel = bot(slack_server)
    await channel.send(message("firing", 1))
    slack_server.messages.clear()
    await channel.send(message("updated", 2, update=UPDATE))
    (parent,) = slack_server.top()
    assert "is gone from Slack" in json.dumps(parent["blocks"])
    assert len(slack_server.replies(parent["ts"])) == 1


async def test_what_was_never_told_begins_with_the_message_that_is(slack_server: SlackServer) -> None:
    await bot(slack_server).send(message("resolved", 9, incident=make_incident(resolved_at=AT)))
    (parent,) = slack_server.top()
    assert parent["text"].startswith("Resolved")
    assert not slack_server.replies(parent["ts"])


async def test_worse_than_its_channel_is_for(slack_server: SlackServer) -> None:
    channel = bot(slack_server, channels={"sev1": "C0LOUD"})
    await channel.send(message("firing", 1))
    worse = make_incident(severity="SEV1")
    await channel.send(message("worsened", 2, incident=worse))
    await channel.send(message("updated", 3, incident=worse, update=UPDATE))
    (parent,) = slack_server.top("C0LOUD")
    assert "began in another channel" in json.dumps(parent["blocks"])
    assert len(slack_server.replies(parent["ts"])) == 1


async def test_the_worst_severities_have_a_channel_of_their_own(slack_server: SlackServer) -> None:
    options = {"incident_channel": "incident-{system}-{id}", "incident_severities": ["SEV2"]}
    memory = Forgetful()
    await bot(slack_server, memory, **options).send(message("firing", 1))
    await bot(slack_server, memory, **options).send(message("worsened", 2))
    room = slack_server.channels["incident-shop-20260102-150405-abc123"]
    assert [m["text"].split(" ")[0] for m in slack_server.top(room)] == ["Firing", "Worse"]
    assert f"<#{room}>" in json.dumps(slack_server.replies(slack_server.top()[0]["ts"]))
    assert len(slack_server.of("conversations.create")) == 1


async def test_without_the_right_to_make_channels_the_thread_is_told(slack_server: SlackServer) -> None:
    slack_server.fail("conversations.create", "missing_scope")
    options = {"incident_channel": "incident-{id}", "incident_severities": ["SEV2"]}
    await bot(slack_server, **options).send(message("firing", 1))
    assert len(slack_server.messages) == 1


async def test_notices_stand_alone_and_are_told_once(slack_server: SlackServer) -> None:
    notice = Notice("report", "RPT-1", "shop", "Morning: all OK", "**well**", AT)
    body = compose_notice(notice, None, "", str)
    memory = Forgetful()
    told = Message("RPT-1-team", "team", "report/shop", "notice", AT, body)
    slack_server.fail("chat.postMessage", "drop")
    with pytest.raises(ChannelError):
        await bot(slack_server, memory).send(told)
    await bot(slack_server, memory).send(told)
    await bot(slack_server, memory).send(told)
    assert [m["text"] for m in slack_server.messages] == ["shop: Morning: all OK"]


async def test_a_test_message(slack_server: SlackServer) -> None:
    await bot(slack_server).send(compose_test("team", AT))
    assert slack_server.messages[0]["text"].startswith("Test: ")


@pytest.mark.parametrize(
    ("answer", "permanent", "words"),
    [
        ("not_in_channel", True, "invite the app to the channel"),
        ("channel_not_found", True, "no such channel"),
        ("token_revoked", True, "install the app again"),
        ("missing_scope", True, "it needs chat:write"),
        ("internal_error", False, "Slack answered internal_error to chat.postMessage"),
        ("ratelimited", False, "ratelimited"),
        ((429, {"Retry-After": "7"}), False, "429 Too Many Requests"),
        ((500, {}), False, "500"),
        ((200, {}), True, "no answer of Slack's API"),
        ("an<weird>\n error", True, "anweirderror"),
    ],
    ids=str,
)
async def test_errors(slack_server: SlackServer, answer: Any, permanent: bool, words: str) -> None:
    slack_server.fail("chat.postMessage", answer)
    channel = bot(slack_server)
    with pytest.raises(ChannelError) as error:
        await channel.send(message("firing", 1))
    assert words in error.value.reason
    assert error.value.permanent is permanent
    assert "verysecrettoken" not in error.value.reason
    if "429" in words:
        assert error.value.retry_after == 7
    await channel.send(message("firing", 1))
    assert len(slack_server.top()) == 1


async def test_blocks_that_slack_does_not_take_cost_no_message(slack_server: SlackServer) -> None:
    slack_server.fail("chat.postMessage", "invalid_blocks")
    channel = bot(slack_server)
    await channel.send(message("firing", 1))
    (posted,) = slack_server.messages
    assert "blocks" not in posted
    assert posted["text"].startswith("Firing (CRITICAL): The Shop: Shop front is slow")
    await channel.send(message("worsened", 2))
    assert buttons(slack_server.messages[0]), "the next edit has them again"


async def test_a_wrong_token_is_named_and_not_shown(slack_server: SlackServer) -> None:
    channel = bot(slack_server, token="xoxb-222222-othersecret")
    with pytest.raises(ChannelError, match="the token is wrong") as error:
        await channel.send(message("firing", 1))
    assert "othersecret" not in error.value.reason


async def test_metadata_says_which_incident_a_message_is_about(slack_server: SlackServer) -> None:
    await bot(slack_server, buttons=False).send(message("firing", 1))
    (posted,) = slack_server.messages
    assert posted["metadata"]["event_payload"] == {"incident": "INC-1", "message": "INC-1-1-team"}
    assert buttons(posted) == []


@pytest.mark.parametrize(
    "options",
    [
        {"channel": "ops"},
        {"token": "xoxb-verysecret"},
        {"token": "xoxb-verysecret", "channel": "ops", "incident_channel": "incident"},
        {"token": "xoxb-verysecret", "channel": "ops", "incident_channel": "incident-{id}-{nope}"},
        {"token": "xoxb-verysecret", "channel": "ops", "rate": "0/s"},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        CHANNELS["slack_bot"].Options.model_validate(options)
    assert "verysecret" not in str(error.value)


async def test_a_long_incident_stays_within_the_limits(slack_server: SlackServer) -> None:
    incident = make_incident(title="x" * 5000, reason="&" * 5000)
    await bot(slack_server).send(replace(message("firing", 1, incident=incident), created_at=AT - timedelta(days=1)))
    assert len(slack_server.messages) == 1


async def test_a_thread_that_was_forgotten_is_found_by_its_metadata(slack_server: SlackServer) -> None:
    """As after a database was restored: nothing is remembered, and the incident goes on."""
    await bot(slack_server).send(message("firing", 1))
    await bot(slack_server).send(message("worsened", 2))
    await bot(slack_server).send(message("updated", 3, update=UPDATE))
    (parent,) = slack_server.top()
    assert parent["edited"]
    assert len(slack_server.replies(parent["ts"])) == 2


async def test_a_thread_that_is_nowhere_begins_anew_with_a_note(slack_server: SlackServer) -> None:
    await bot(slack_server).send(message("updated", 3, update=UPDATE))
    (parent,) = slack_server.top()
    assert "so its thread begins here" in json.dumps(parent["blocks"])
