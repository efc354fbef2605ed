"""One channel's share of the outbox: its own task, so that it waits for nobody and nobody waits for it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import structlog

from healthd.model.incidents import ChannelError, Message, TimelineEntry
from healthd.model.tasks import end_tasks
from healthd.model.units import format_duration
from healthd.notify.backoff import Policy
from healthd.notify.dressing import Dressed
from healthd.notify.http import MAX_RETRY_AFTER
from healthd.notify.message import Channel
from healthd.notify.pace import Pace
from healthd.notify.queue import Queue

FAR = timedelta(days=36500)
PAGE = 100  # messages looked at in one go when none is left out for not being due
MAX_REASONS = 10  # logged of one outage: answers may hold a request number, new every time
IN_FLIGHT_POLL = 1.0  # seconds between looks while what is due is being sent or held back

PASSING = frozenset({"updated", "improved"})  # how it stands for the moment
NEWER = frozenset({"updated", "improved", "worsened", "resolved", "reopened", "escalated"})

HELD_BACK = 0.5  # seconds between looks at whether telling is allowed again

log = structlog.get_logger("healthd.notify")


@dataclass(frozen=True, slots=True)
class Gear:
    """What all workers of an outbox share."""

    store: Queue
    observe: Callable[[str, str], None]
    now: Callable[[], datetime]
    rng: Random
    policy: Policy
    allowed: Callable[[], bool] = lambda: True  # whether this process may still tell anybody


class Worker:
    """Sends a channel's messages: those of one group in order, up to `policy.parallel` groups at once."""

    def __init__(self, name: str, gear: Gear) -> None:
        self._name = name
        self._gear = gear
        self._channel: Dressed | None = None
        self._max_age = gear.policy.unconfigured_max_age
        self._task: asyncio.Task[None] | None = None
        self._sends: dict[str, asyncio.Task[None]] = {}  # by group
        self._closing: set[asyncio.Task[None]] = set()
        self._attempts: dict[str, int] = {}  # by message id, since this process began
        self._held: dict[str, float] = {}  # group -> loop time before which it is not tried again
        self._paused_until = 0.0  # loop time before which the receiver wants to hear nothing
        self._pace = Pace(None)
        self._plugged = 0  # how often a channel was put in force
        self._regardless = True  # whether to try what waits without asking if it is due
        self._reasons: set[str] = set()  # logged since the channel last recovered
        self._woken = asyncio.Event()
        self._stopping = False

    def plug(self, channel: Dressed, max_age: timedelta) -> None:
        """Send through `channel` from now on, first what waits already: it may be there to mend what failed."""
        self._retire()
        self._channel, self._max_age, self._pace = channel, max_age, Pace(channel.rate)
        if self._task is not None:
            channel.begin()
        self._plugged += 1
        self._held.clear()
        self._reasons.clear()
        self._paused_until, self._regardless = 0.0, True
        self._woken.set()

    def unplug(self) -> None:
        """Stop sending: the channel is no longer configured."""
        self._retire()
        self._woken.set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"outbox:{self._name}")
        if self._channel is not None:
            self._channel.begin()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def stop(self, grace: float) -> None:
        """Finish what is under way within `grace` seconds, cancel the rest, close the channel."""
        self._stopping = True
        self._woken.set()
        tasks = [*self._sends.values(), *([self._task] if self._task else [])]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            await end_tasks(late)
        self._retire()
        await asyncio.gather(*self._closing)

    def _retire(self) -> None:
        """Close the channel once what it is sending has gone out."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        if self._task is None and not self._sends:  # never used: nothing is open
            return
        task = asyncio.create_task(_close(channel, list(self._sends.values())))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _run(self) -> None:
        troubles = 0
        while not self._stopping:
            self._woken.clear()
            try:
                pause = await (self._expire() if self._channel is None else self._round())
                troubles = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, messages wait: look again
                troubles += 1
                if troubles == 1:
                    log.warning("outbox_unreadable", channel=self._name, reason=str(error) or type(error).__name__)
                pause = self._gear.policy.pause(troubles, self._gear.rng).total_seconds()
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, self._gear.policy.poll.total_seconds())):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _round(self) -> float:
        """Start what may be sent now. Returns the seconds until the next look is worth while."""
        clock = asyncio.get_running_loop().time
        if (left := self._paused_until - clock()) > 0:
            return left
        self._held = {group: until for group, until in self._held.items() if until > clock()}
        room = self._gear.policy.parallel - len(self._sends)
        if room <= 0:
            return FAR.total_seconds()  # a send that ends wakes
        if (wait := self._pace.wait(clock())) > 0:
            return wait
        ready = await self._ready()
        if self._channel is not None and not self._stopping:  # both may have changed meanwhile
            for message in ready[: min(room, self._pace.room(clock()))]:
                self._pace.count(clock())
                self._sends[message.group] = asyncio.create_task(self._deliver(message, self._channel))
        return await self._until_next(clock())

    async def _ready(self) -> list[Message]:
        """Due messages of groups that are neither being sent nor held back."""
        # taken before the store is asked: a send may end, or the channel change, while the answer is on its way
        plugged, busy, held = self._plugged, set(self._sends), set(self._held)
        now, limit = self._gear.now(), self._gear.policy.parallel + len(busy) + len(held)
        if self._regardless:
            now, limit = now + FAR, PAGE + len(busy)
        due = await self._gear.store.due_messages(self._name, now, limit)
        apart = busy | held
        ready = [m for m in due if m.group not in apart and not _is_held(m, self._gear.now())]
        if not ready and not busy and plugged == self._plugged:
            self._regardless = False
        return ready

    async def _until_next(self, clock: float) -> float:
        if self._regardless and self._sends:
            return FAR.total_seconds()  # a send that ends wakes
        due = await self._gear.store.next_attempt(self._name)
        if due is None:
            return FAR.total_seconds()
        seconds = (due - self._gear.now()).total_seconds()
        if seconds > 2 * MAX_RETRY_AFTER:  # no pause is that long: the clock was set back
            self._regardless = True
        return seconds if seconds > 0 else min([IN_FLIGHT_POLL, *(until - clock for until in self._held.values())])

    async def _deliver(self, message: Message, channel: Dressed) -> None:
        try:
            if not self._gear.allowed():  # another process tells it
                await asyncio.sleep(HELD_BACK)
                return
            if channel.supersedes and await self._is_superseded(message):
                await self._skipped(message)
            elif (refusal := await self._send(message, channel)) is None:
                await self._accepted(message)
            else:
                await self._refused(message, refusal)
        finally:
            if channel is not self._channel:  # what the old channel said does not hold for the new one
                self._held.pop(message.group, None)
                self._paused_until = 0.0
            del self._sends[message.group]
            self._woken.set()

    async def _is_superseded(self, message: Message) -> bool:
        """Whether what waits behind it says it all: an update, when there is newer news; the beginning of what was
        held, when its end is known."""
        held = message.attempts == 0 and message.next_attempt_at == message.created_at
        if message.event not in PASSING and not held:
            return False
        try:
            behind = {later.event for later in await self._gear.store.messages_behind(message.id)}
        except Exception as error:  # noqa: BLE001 - the store's errors are its own; telling too much does no harm
            log.debug("outbox_unreadable", reason=str(error))
            return False
        return "resolved" in behind if held else bool(behind & NEWER)

    async def _skipped(self, message: Message) -> None:
        await self._record(lambda: self._gear.store.delivered(message.id, self._gear.now(), None))
        self._attempts.pop(message.id, None)
        self._gear.observe(self._name, "superseded")
        log.info("notification_superseded", channel=self._name, kind=message.event, incident=message.group)

    async def _send(self, message: Message, channel: Channel) -> ChannelError | None:
        """Why the channel did not take the message; None if it did."""
        try:
            await channel.send(message)
        except ChannelError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug in a channel must not lose its messages
            # without the values a pretty traceback would show: secrets may be among them
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("channel_broken", channel=self._name, error=type(error).__name__, traceback=where)
            return ChannelError(f"{type(error).__name__} in the channel's own code")
        return None

    async def _accepted(self, message: Message) -> None:
        now = self._gear.now()
        attempts = self._attempt(message)
        entry = self._entry(message, now, "told", f"{message.event}: told {self._name}")
        await self._record(lambda: self._gear.store.delivered(message.id, now, entry))
        self._attempts.pop(message.id, None)
        if attempts > 1:
            self._reasons.clear()
        self._gear.observe(self._name, "accepted")
        log.info(
            "notification_accepted",
            channel=self._name,
            kind=message.event,
            incident=message.group,
            attempts=attempts,
            seconds=round((now - message.created_at).total_seconds(), 3),
        )

    async def _refused(self, message: Message, error: ChannelError) -> None:
        now, clock = self._gear.now(), asyncio.get_running_loop().time()
        attempts = self._attempts[message.id] = self._attempt(message)
        left = message.created_at + self._max_age - now
        if left <= timedelta(0):
            await self._give_up(message, error.reason)
            return
        policy, rng = self._gear.policy, self._gear.rng
        if error.retry_after is not None:
            pause = max(policy.after(error.retry_after, rng), policy.first)
            self._paused_until = clock + pause.total_seconds()
        else:
            # not beyond its age, so that it is given up when it should be, after one last attempt
            pause = min(policy.pause(attempts, rng, permanent=error.permanent), max(left, policy.first))
        self._held[message.group] = clock + pause.total_seconds()
        self._gear.observe(self._name, "retried")
        self._complain(message, error, pause)
        try:
            await self._gear.store.failed(message.id, error.reason, now + pause)
        except Exception as trouble:  # noqa: BLE001 - the group is held back here, so nothing depends on the record
            log.debug("attempt_not_recorded", channel=self._name, reason=str(trouble))

    def _attempt(self, message: Message) -> int:
        """The number of the attempt that just ended: what the store counted, or this process if that failed."""
        return max(message.attempts, self._attempts.get(message.id, 0)) + 1

    def _complain(self, message: Message, error: ChannelError, pause: timedelta) -> None:
        """Once per reason until the channel recovers: a receiver that is down for a day is one line, not thousands."""
        if error.reason not in self._reasons and len(self._reasons) < MAX_REASONS:
            self._reasons.add(error.reason)
            log.warning(
                "notification_refused",
                channel=self._name,
                kind=message.event,
                incident=message.group,
                reason=error.reason,
                retry_in=format_duration(pause.total_seconds()),
            )

    async def _give_up(self, message: Message, reason: str) -> None:
        now = self._gear.now()
        entry = self._entry(message, now, "note", f"{message.event}: gave up telling {self._name}: {reason}")
        await self._record(lambda: self._gear.store.gave_up(message.id, now, entry))
        self._attempts.pop(message.id, None)
        self._gear.observe(self._name, "gave_up")
        log.error(
            "notification_given_up",
            channel=self._name,
            kind=message.event,
            incident=message.group,
            message=message.id,
            age=format_duration((now - message.created_at).total_seconds()),
            reason=reason,
        )

    def _entry(self, message: Message, at: datetime, kind: str, text: str) -> TimelineEntry | None:
        """A line on the incident's timeline; a test message belongs to no incident."""
        return None if message.event == "test" else TimelineEntry(message.group, at, kind, text)

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write how a message ended, as often as it takes; its group stays busy, so it is not sent again meanwhile."""
        troubles = 0
        while True:
            try:
                await write()
                return
            except Exception as error:  # noqa: BLE001 - the store's errors are its own; this must not be lost
                troubles += 1
                if troubles == 1:
                    log.warning("delivery_not_recorded", channel=self._name, reason=str(error) or type(error).__name__)
                await asyncio.sleep(min(self._gear.policy.pause(troubles, self._gear.rng).total_seconds(), 30.0))

    async def _expire(self) -> float:
        """Without a channel: give up what is too old, keep the rest."""
        waiting = await self._gear.store.due_messages(self._name, self._gear.now() + FAR, PAGE)
        if waiting and "unconfigured" not in self._reasons:
            self._reasons.add("unconfigured")
            log.warning("channel_unconfigured", channel=self._name, max_age=str(self._max_age))
        old = [m for m in waiting if m.group not in self._sends and self._gear.now() - m.created_at >= self._max_age]
        for message in old:
            await self._give_up(message, "this channel is not configured")
        return 0.0 if old else FAR.total_seconds()


def _is_held(message: Message, now: datetime) -> bool:
    """Not to be sent before the hours of its route begin, whatever else is."""
    return message.attempts == 0 and message.next_attempt_at is not None and message.next_attempt_at > now


async def _close(channel: Channel, sends: list[asyncio.Task[None]]) -> None:
    if sends:
        await asyncio.wait(sends)
    await channel.close()
