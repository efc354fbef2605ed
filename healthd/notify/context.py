"""What of its surroundings a channel may use: its name, the clock, a memory that survives restarts, the redaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from healthd.model.times import utc_now


class Memory(Protocol):
    """What a channel remembers of an incident, such as the thread it is told in. Calls may raise anything: then the
    message they belong to is tried again."""

    async def recall(self, channel: str, key: str) -> Mapping[str, Any] | None:
        """What was remembered under `key`, None for nothing."""

    async def remember(self, channel: str, key: str, what: Mapping[str, Any], *, open_: bool = False) -> None:
        """Durable on return. `what` is JSON-able and holds no secret. What is `open_` is found by `open`."""

    async def open(self, channel: str) -> Mapping[str, Mapping[str, Any]]:
        """By key, what was last remembered as open."""


class Forgetful:
    """A memory that lasts as long as the process: for trying a channel."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._open: set[tuple[str, str]] = set()

    async def recall(self, channel: str, key: str) -> Mapping[str, Any] | None:
        """See Memory."""
        return self._known.get((channel, key))

    async def remember(self, channel: str, key: str, what: Mapping[str, Any], *, open_: bool = False) -> None:
        """See Memory."""
        self._known[channel, key] = dict(what)
        (self._open.add if open_ else self._open.discard)((channel, key))

    async def open(self, channel: str) -> Mapping[str, Mapping[str, Any]]:
        """See Memory."""
        return {key: self._known[of, key] for of, key in self._open if of == channel}


@dataclass(frozen=True, slots=True)
class Context:
    """`redact` is asked for every text made after the message was composed; `observe` counts (channel, outcome)."""

    name: str = "channel"
    now: Callable[[], datetime] = utc_now
    memory: Memory = field(default_factory=Forgetful)
    redact: Callable[[str], str] = str
    observe: Callable[[str, str], None] = lambda channel, outcome: None
