"""What every probe is made of: its parameters, its measures, its context, its errors.

A probe observes one technology once. It never judges, never stores, never changes what it looks at.
To add one: a module here, a line in `PROBES` (probes/__init__.py), a test module, a page in docs/probes/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit, parse_duration

__all__ = [
    "DOWN",
    "Duration",
    "Evidence",
    "MeasureInfo",
    "Measurement",
    "Observation",
    "OneOrMany",
    "Params",
    "Probe",
    "ProbeContext",
    "ProbeError",
    "ProbeLimits",
    "Resources",
]

T = TypeVar("T")

# A parameter written "30s", "5m" or "24h".
Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str | float)]


def _many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


# A parameter that is one word or a list of them.
OneOrMany = Annotated[tuple[str, ...], BeforeValidator(_many, json_schema_input_type=str | tuple[str, ...])]

# The row a reachability probe has unless its check writes its own row for `up`.
DOWN = Threshold(measure="up", critical=parse_condition("= 0"), name="up")


class Params(BaseModel):
    """Parameters of a probe as written in YAML. Unknown keys are errors; secrets are SecretStr."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


AnyParams = Params  # its name inside Probe, where `Params` is the probe's own


@dataclass(frozen=True, slots=True)
class MeasureInfo:
    """One documented measure: its base unit (None: any) and one line of help."""

    unit: Unit | None
    help: str


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What the process settings allow probes to do."""

    max_body_bytes: int = 1_000_000
    max_evidence_chars: int = 2_000
    allowed_commands: tuple[str, ...] = ()  # absolute paths or names; empty: the command probe is off
    max_command_output_bytes: int = 1_000_000
    allowed_load_hosts: tuple[str, ...] = ()  # host or host:port; empty: the load_benchmark probe is off
    scratch_dir: Path | None = None  # where restore drills may work; None: they are off


class Resources:
    """Shared clients (pools, sessions, SSL contexts), made on first use and closed together.

    One entry per key, whatever the number of checks that use it.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[Any, Callable[[Any], Awaitable[None]] | None]] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}

    def peek(self, key: Hashable) -> Any | None:
        """The resource if it has been made already (the hot path: no await)."""
        entry = self._entries.get(key)
        return entry[0] if entry else None

    async def get(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        close: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """The resource under `key`, made by `make` if it is the first time."""
        if (entry := self._entries.get(key)) is not None:
            return entry[0]  # type: ignore[no-any-return]
        async with self._locks.setdefault(key, asyncio.Lock()):
            if (entry := self._entries.get(key)) is None:
                entry = self._entries[key] = (await make(), close)
        return entry[0]

    async def drop(self, key: Hashable) -> None:
        """Forget and close one resource (a broken connection)."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry[1] is not None:
            await entry[1](entry[0])

    async def close(self) -> None:
        """Close everything, newest first; one that fails does not keep the others open."""
        for key in reversed(list(self._entries)):
            try:
                await self.drop(key)
            except Exception:  # noqa: BLE001, S112 - closing is best effort, nothing is left to tell
                continue


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a run gives its probe. `timeout` is for the whole look; the runner cancels the probe when it is over."""

    now: datetime
    timeout: timedelta
    zone: ZoneInfo
    resources: Resources
    limits: ProbeLimits = ProbeLimits()
    shared: dict[Hashable, asyncio.Future[Any]] = field(default_factory=dict)

    async def once(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask a question once for all checks of one checklist run or batch: the others get the same answer.

        A failed answer is shared too. A waiter that is cancelled does not cancel the question.
        """
        future = self.shared.get(key)
        if future is None:
            future = self.shared[key] = asyncio.ensure_future(ask())
            future.add_done_callback(lambda f: f.cancelled() or f.exception())
        return await asyncio.shield(future)


class Probe(Protocol):
    """The code that observes one technology.

    `run` returns an Observation or raises ProbeError; anything else it raises is caught by the runner, recorded
    as UNKNOWN and logged as a bug. Being cancelled must leave nothing behind.
    """

    # read-only, so that a probe may declare its own, narrower types
    @property
    def Params(self) -> type[AnyParams]: ...  # noqa: N802
    @property
    def measures(self) -> Mapping[str, MeasureInfo]: ...
    @property
    def defaults(self) -> tuple[Threshold, ...]: ...

    def measures_for(self, params: Any) -> Mapping[str, MeasureInfo] | None:
        """The measures a check with these parameters can have; None when any name may appear."""

    async def run(self, params: Any, context: ProbeContext) -> Observation:
        """Look once."""
