"""Slack, through an app's bot token: each incident one message that is kept true, with what happens in its thread.

What was posted is remembered, so that a restart changes nothing. It is noted before a message is posted as well: when
healthd is killed before Slack's answer was kept, the message is found again by the metadata it carries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from healthd.model.incidents import ChannelError, Message
from healthd.notify import words
from healthd.notify.context import Context
from healthd.notify.options import Options as Common
from healthd.notify.options import Rate, SecretText, SecretUrl, parse_rate
from healthd.notify.slack_api import SlackApi, SlackError, seconds
from healthd.notify.slack_blocks import parent, render, reply
from healthd.notify.slack_text import REFUSED

METADATA = "healthd_message"
LOUD = frozenset({"worsened", "escalated", "reopened"})  # replies that the whole channel sees
BEGINS = frozenset({"firing", "resolved"})  # may be the first that Slack hears of an incident
SILENT = frozenset({"improved"})  # only the incident's message changes
LOST = frozenset({"message_not_found", "channel_not_found", "thread_not_found", "is_archived", "not_in_channel"})
UNEDITABLE = frozenset({"cant_update_message", "edit_window_closed", "msg_too_long", "invalid_blocks"})
CLOCKS = timedelta(minutes=5)  # by which Slack's clock and ours may differ
PAGES = 5  # of a channel's history, looked through for a message
_NAME = re.compile(r"[^a-z0-9_-]+")

log = structlog.get_logger("healthd.notify")


@dataclass(frozen=True, slots=True)
class Thread:
    """Where an incident is told. `pending` is the message being posted now, `done` the last one that was."""

    channel: str = ""
    ts: str = ""
    pending: str = ""
    done: str = ""
    since: str = ""  # when `pending` was first tried: where its message is looked for
    room: str = ""  # the incident's own channel
    asked: str = ""  # the channel's name or id as configured
    note: str = ""  # at the end of the incident's message

    def as_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {name: getattr(self, name) for name in self.__slots__}


class SlackBot:
    """One message for each incident, edited as its state changes; updates as replies in its thread."""

    class Options(Common):
        """`token`: the app's bot token, xoxb-... . `channel`: a channel's id or name; `channels`: others by severity.
        `incident_channel`: the name of a channel made for each incident of `incident_severities`. `buttons`: whether
        messages can be acknowledged and silenced from; that needs HEALTHD_SLACK_SIGNING_SECRET."""

        token: SecretText
        channel: str = Field(min_length=1, max_length=80)
        channels: Mapping[str, str] = Field(default_factory=dict)
        incident_channel: str = Field("", max_length=80)
        incident_severities: tuple[str, ...] = ()
        buttons: bool = True
        url: SecretUrl = SecretStr("https://slack.com/api")
        rate: Annotated[Rate | None, BeforeValidator(parse_rate)] = Rate(5, timedelta(seconds=5))

        @field_validator("incident_channel")
        @classmethod
        def _placeholders(cls, name: str) -> str:
            left = name.replace("{id}", "").replace("{system}", "").replace("{severity}", "")
            if name and ("{id}" not in name or "{" in left or "}" in left):
                raise ValueError('expected a name with {id}, such as "incident-{id}"; {system} and {severity} may help')
            return name

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._context = options, context
        self._api = SlackApi(options.url, options.token, options.timeout, context)

    async def send(self, message: Message) -> None:
        """Post, edit or answer. Errors of Slack's are ChannelErrors with what to do about them."""
        if message.event == "test":
            await self._post(self._options.channel, render(message.body), message)
        elif words.is_notice(message.body):
            await self._notice(message)
        else:
            await self._incident(message)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    # -- what is told ----------------------------------------------------------------------------------------------

    async def _notice(self, message: Message) -> None:
        key = f"notice/{message.body['notice']['id']}"
        thread = await self._recall(key)
        if thread.done == message.id:
            return
        channel = self._channel_for(message.body["notice"]["severity"])
        if thread.pending == message.id and await self._find(channel, thread, message.id):
            return
        thread = await self._begin(key, thread, message)
        await self._post(channel, render(message.body), message)
        await self._remember(key, replace(thread, done=message.id))

    async def _incident(self, message: Message) -> None:
        thread = await self._recall(message.group)
        if thread.done == message.id:
            return
        if not thread.ts:
            thread, fresh = await self._open(message, thread)
        else:
            thread, fresh = await self._update(message, thread), False
            if self._moves(message, thread):
                note = f"This incident began in another channel: {thread.asked}"
                thread, fresh = await self._open(message, replace(thread, ts="", channel="", pending=""), note)
        if message.event not in SILENT and not (fresh and message.event not in ("updated", "acknowledged")):
            thread = await self._reply(message, thread)
        thread = await self._room(message, thread)
        await self._remember(message.group, replace(thread, done=message.id, pending=""))

    async def _posted(self, message: Message, thread: Thread, channel: str) -> tuple[str, str] | None:
        """Where the incident's own message is, if one was posted and healthd does not remember: it was killed before
        it could, or its database is older than the message."""
        if thread.pending:
            return await self._find(channel, thread, thread.pending)
        if message.event in BEGINS:
            return None
        return await self._find(channel, replace(thread, since=message.body["incident"]["opened_at"]), message.group)

    def _moves(self, message: Message, thread: Thread) -> bool:
        """Whether it has become worse than what its channel is for."""
        channel = self._channel_for(message.body["incident"]["severity"])
        return message.event in ("worsened", "reopened") and channel != thread.asked

    async def _open(self, message: Message, thread: Thread, note: str = "") -> tuple[Thread, bool]:
        """Post the incident's own message, unless that was done before; and whether it is this message's doing."""
        channel = self._channel_for(message.body["incident"]["severity"])
        found = None if note else await self._posted(message, thread, channel)
        if found:
            mine = thread.pending == message.id or message.event in BEGINS
            thread = replace(thread, channel=found[0], ts=found[1], asked=channel, pending="")
            await self._remember(message.group, thread)
            return (thread, True) if mine else (await self._update(message, thread), False)
        if message.event in ("updated", "escalated", "acknowledged", "improved") and not note:
            note = "Nothing of this incident was found in this channel, so its thread begins here."
        thread = await self._begin(message.group, replace(thread, note=note), message)
        payload = parent(message.body, buttons=self._options.buttons, note=note)
        posted = await self._post(channel, payload, message)
        thread = replace(thread, channel=posted[0], ts=posted[1], asked=channel, pending="")
        await self._remember(message.group, thread)
        return thread, True

    async def _update(self, message: Message, thread: Thread) -> Thread:
        """Bring the incident's own message up to date; where it is gone, there is a new one."""
        payload = parent(message.body, buttons=self._options.buttons, note=thread.note)
        try:
            await self._api.call("chat.update", {"channel": thread.channel, "ts": thread.ts, **payload})
        except SlackError as error:
            if error.word in LOST:
                log.warning("slack_message_lost", channel=self._context.name, incident=message.group, reason=error.word)
                note = "The first message of this incident is gone from Slack, so its thread goes on here."
                return (await self._open(message, replace(thread, ts="", channel="", pending=""), note))[0]
            if error.word not in UNEDITABLE:
                raise
            log.warning("slack_message_not_edited", channel=self._context.name, reason=error.word)
        return thread

    async def _reply(self, message: Message, thread: Thread) -> Thread:
        """What is new, in the thread; not twice."""
        if thread.pending == message.id and await self._find_reply(thread, f"{message.id}/reply"):
            return thread
        thread = await self._begin(message.group, thread, message)
        extra: dict[str, Any] = {"thread_ts": thread.ts}
        if message.event in LOUD:
            extra["reply_broadcast"] = True
        await self._post(thread.channel, reply(message.body), message, extra, "/reply")
        return thread

    # -- a channel of its own --------------------------------------------------------------------------------------

    async def _room(self, message: Message, thread: Thread) -> Thread:
        """The incident's own channel, where its severity has one: made once, told everything."""
        if not thread.room:
            if not self._wants_room(message):
                return thread
            thread = await self._make_room(message, thread)
            if not thread.room:
                return thread
        try:
            await self._post(thread.room, render(message.body), message, part="/room")
        except SlackError as error:  # the thread has it all: this must not repeat what was told there
            log.warning("slack_room_refused", channel=self._context.name, incident=message.group, reason=error.reason)
        return thread

    def _wants_room(self, message: Message) -> bool:
        severities = {name.lower() for name in self._options.incident_severities}
        named = message.body["incident"]["severity"].lower() in severities
        return bool(self._options.incident_channel) and named and message.event != "resolved"

    async def _make_room(self, message: Message, thread: Thread) -> Thread:
        incident = message.body["incident"]
        name = room_name(self._options.incident_channel, incident, message.body["system"]["name"])
        try:
            made = (await self._api.call("conversations.create", {"name": name}))["channel"]["id"]
        except SlackError as error:
            made = await self._named(name) if error.word == "name_taken" else ""
            if not made:
                log.warning("slack_room_not_made", channel=self._context.name, room=name, reason=error.reason)
                return thread
        thread = replace(thread, room=str(made))
        await self._remember(message.group, thread)
        text = {"text": f"This incident has a channel of its own: <#{made}>"}
        await self._post(thread.channel, text, message, {"thread_ts": thread.ts}, "/room")
        return thread

    async def _named(self, name: str) -> str:
        """The id of a channel by its name, "" when it is not among the newest thousand."""
        asked = {"limit": 1000, "exclude_archived": "true", "types": "public_channel"}
        try:
            channels = (await self._api.ask("conversations.list", asked)).get("channels", [])
        except SlackError:
            return ""
        return next((str(c["id"]) for c in channels if c.get("name") == name), "")

    # -- calls -----------------------------------------------------------------------------------------------------

    async def _post(
        self,
        channel: str,
        payload: Mapping[str, Any],
        message: Message,
        extra: Mapping[str, Any] | None = None,
        part: str = "",
    ) -> tuple[str, str]:
        """(channel id, ts) of the new message. `part` tells apart what is posted for one message of ours."""
        metadata = {"event_type": METADATA, "event_payload": {"incident": message.group, "message": message.id + part}}
        quiet = {"unfurl_links": False, "unfurl_media": False, "metadata": metadata}
        asked = {"channel": channel, **payload, **quiet, **(extra or {})}
        try:
            answer = await self._api.call("chat.postMessage", asked)
        except SlackError as error:
            if error.word not in REFUSED or "blocks" not in asked:
                raise
            log.warning("slack_blocks_refused", channel=self._context.name, incident=message.group, reason=error.word)
            del asked["blocks"]
            answer = await self._api.call("chat.postMessage", asked)
        if not isinstance(answer.get("ts"), str):
            raise ChannelError("Slack took the message and did not say where it is", permanent=True)
        return str(answer.get("channel") or channel), answer["ts"]

    async def _find(self, channel: str, thread: Thread, wanted: str) -> tuple[str, str] | None:
        """The message an earlier attempt or process may have posted."""
        if not channel.startswith(("C", "G", "D")) or not channel.isalnum():
            channel = await self._named(channel.removeprefix("#")) or channel
        return await self._search("conversations.history", {"channel": channel}, thread, wanted)

    async def _find_reply(self, thread: Thread, message_id: str) -> tuple[str, str] | None:
        place = {"channel": thread.channel, "ts": thread.ts}
        return await self._search("conversations.replies", place, thread, message_id)

    async def _search(
        self, method: str, place: Mapping[str, str], thread: Thread, wanted: str
    ) -> tuple[str, str] | None:
        """The message whose metadata hold `wanted`: a message's id or an incident's."""
        began = datetime.fromisoformat(thread.since) if thread.since else self._context.now() - timedelta(hours=1)
        asked = {**place, "include_all_metadata": "true", "limit": "100", "oldest": seconds(began - CLOCKS)}
        for _ in range(PAGES):
            try:
                answer = await self._api.ask(method, asked)
            except SlackError as error:
                if not error.permanent:
                    raise
                log.warning("slack_history_closed", channel=self._context.name, reason=error.reason)
                return None
            for found in answer.get("messages", ()):
                if wanted in _payload(found):
                    return place["channel"], str(found.get("thread_ts") or found["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
            asked = {**asked, "cursor": cursor}
        return None

    # -- memory ----------------------------------------------------------------------------------------------------

    async def _recall(self, key: str) -> Thread:
        known = await self._context.memory.recall(self._context.name, key) or {}
        return Thread(**{name: str(known.get(name, "")) for name in Thread.__slots__})

    async def _begin(self, key: str, thread: Thread, message: Message) -> Thread:
        """Note that `message` is about to be posted."""
        thread = replace(thread, pending=message.id, since=self._context.now().isoformat())
        await self._remember(key, thread)
        return thread

    async def _remember(self, key: str, thread: Thread) -> None:
        await self._context.memory.remember(self._context.name, key, thread.as_dict())

    def _channel_for(self, severity: str) -> str:
        by_severity = {name.lower(): channel for name, channel in self._options.channels.items()}
        return by_severity.get(severity.lower(), self._options.channel)


def room_name(pattern: str, incident: Mapping[str, Any], system: str) -> str:
    """A name Slack takes: lower-case letters, digits, "-" and "_", at most 80 characters."""
    name = pattern.replace("{id}", incident["id"].removeprefix("INC-"))
    name = name.replace("{system}", system).replace("{severity}", incident["severity"])
    return _NAME.sub("-", name.lower()).strip("-")[:80]


def _payload(found: Any) -> tuple[str, str]:
    """The ids in a message's metadata: ours of the message, and of the incident."""
    try:
        payload = found["metadata"]["event_payload"]
        return str(payload["message"]), str(payload["incident"])
    except (KeyError, TypeError):
        return "", ""
