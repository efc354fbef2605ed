"""The durable queue between a recorded decision and the people who hear of it.

Messages are written to the store in the transaction that decides them. One worker per channel takes them from there,
so a channel that is slow, away or refusing holds up no other. A message leaves the queue when its channel accepted it
(at least once: a crash between acceptance and its record sends it again, with the same id), or is given up after the
channel's `max_age`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from random import Random

import structlog

from healthd.model.catalogue import ChannelSpec
from healthd.model.tasks import end_tasks
from healthd.notify.backoff import Policy
from healthd.notify.channels import build_channel
from healthd.notify.context import Context, Forgetful, Memory
from healthd.notify.queue import Queue
from healthd.notify.worker import Gear, Worker

log = structlog.get_logger("healthd.notify")


class Outbox:
    """Delivers what waits in the store.

    `observe(channel, outcome)` hears "accepted", "retried", "gave_up", "superseded" and "template_failed". `memory` is
    what channels remember across restarts, `redact` is asked for what templates write, and
    `allowed` before every send whether this process may still tell anybody. `reconfigure`, `start` and
    `wake` return at once; all methods belong to the event loop's thread.
    """

    def __init__(
        self,
        store: Queue,
        *,
        observe: Callable[[str, str], None],
        now: Callable[[], datetime],
        rng: Random | None = None,
        policy: Policy | None = None,
        memory: Memory | None = None,
        redact: Callable[[str], str] = str,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        rng = rng or Random()  # noqa: S311 - spreads retries, guards nothing
        self._gear = Gear(store, observe, now, rng, policy or Policy(), allowed)
        self._context = Context("", now, memory or Forgetful(), redact, observe)
        self._specs: dict[str, ChannelSpec] = {}
        self._workers: dict[str, Worker] = {}
        self._watch: asyncio.Task[None] | None = None

    def reconfigure(self, channels: Mapping[str, ChannelSpec]) -> None:
        """Put these channels in force; before or after `start`.

        What waits for a new or changed channel is tried at once; sends under way finish as they began; messages
        for a channel no longer there wait for its return until they are too old. Raises ValueError for a channel
        that cannot be built, and then nothing has changed.
        """
        changed = {name: spec for name, spec in channels.items() if self._specs.get(name) != spec}
        built = {name: build_channel(spec, context=self._context) for name, spec in changed.items()}
        for name in self._specs.keys() - channels.keys():
            self._workers[name].unplug()
        for name, channel in built.items():
            self._worker(name).plug(channel, changed[name].max_age)
        self._specs = dict(channels)

    def start(self) -> None:
        """Begin delivering, with whatever an earlier process left waiting."""
        self._watch = asyncio.create_task(self._watch_unconfigured(), name="outbox")
        for worker in self._workers.values():
            worker.start()

    def wake(self, channels: Iterable[str]) -> None:
        """Something for these channels was committed: look now."""
        for name in channels:
            self._worker(name).wake()

    async def stop(self, grace: float) -> None:
        """Let sends under way finish within `grace` seconds, drop the others: the next process sends them again."""
        await end_tasks([self._watch])
        self._watch = None
        await asyncio.gather(*(worker.stop(grace) for worker in self._workers.values()))

    def _worker(self, name: str) -> Worker:
        """The worker of a channel; a new one has no channel to send to yet."""
        if name not in self._workers:
            self._workers[name] = Worker(name, self._gear)
            if self._watch is not None:
                self._workers[name].start()
        return self._workers[name]

    async def _watch_unconfigured(self) -> None:
        """Find messages of channels nobody configured: they too must not wait for ever."""
        while True:
            try:
                for waiting in await self._gear.store.outbox():
                    self._worker(waiting.channel)
            except Exception as error:  # noqa: BLE001 - the store's errors are its own; look again later
                log.debug("outbox_unreadable", reason=str(error))
            await asyncio.sleep(self._gear.policy.poll.total_seconds())
