"""What an emulated production is: what to start, what the catalogue reads, and what can be broken in it."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, cast

from healthd.sandbox.child import SandboxError

DEFAULT = "syncwatch"
W = TypeVar("W")

# name of the system -> module and class of its world; imported when used
WORLDS = {
    "syncwatch": "healthd.sandbox.syncwatch.world:SyncWatch",
    "syncup": "healthd.sandbox.syncup.world:SyncUp",
    "synk": "healthd.sandbox.synk.world:Synk",
    "social-live": "healthd.sandbox.social_live.world:SocialLive",
}


class Opens(NamedTuple):
    """What an incident must name: the playbook whose fix it suggests, and how severe it is."""

    playbook: str
    severity: str


@dataclass(frozen=True, slots=True)
class Fault(Generic[W]):
    """One way to break the world W.

    Checks are named as in the catalogue of the world's own system; one of another catalogue as `system/check`.
    `noticed_by` are exactly those that are no longer OK and open an incident (or join one); `quiet` those that find
    something as well and are kept quiet by a check they depend on, which is CRITICAL or UNKNOWN. `incident` is what at
    least one of the open incidents names, None where its check has no playbook. `after` says how soon, at the
    sandbox's pace. `act` and `mend` are called with the world; `mend` works after an `act` that failed half-way.
    `apart` are faults that cannot be broken at the same time, although other checks notice them.
    """

    name: str
    breaks: str
    noticed_by: tuple[str, ...]
    after: str
    act: Callable[[W], Awaitable[object]]
    mend: Callable[[W], Awaitable[object]]
    quiet: tuple[str, ...] = ()
    incident: Opens | None = None
    apart: tuple[str, ...] = ()


class World(Protocol):
    """One emulated production on loopback.

    Made with the folder for its servers' data and the folder for their logs, both of which exist; making it starts
    nothing. `faults` are the class's own: they can be listed without starting anything.
    """

    name: ClassVar[str]  # of the system, as in checks/<name>/system.yaml
    catalogues: ClassVar[tuple[str, ...]]  # folders under checks/, the world's own last
    faults: ClassVar[Mapping[str, Fault[Any]]]

    def __init__(self, folder: Path, logs: Path) -> None: ...

    async def start(self) -> None:
        """Start everything; returns when all of it answers. SandboxError says what does not."""

    async def stop(self) -> None:
        """Stop everything; also after a `start` that failed half-way."""

    def environment(self) -> dict[str, str]:
        """What its catalogues read: addresses, credentials, switches, and a pace fit for watching."""

    def description(self) -> str:
        """What it is made of, in one line."""

    def parts(self) -> dict[str, str]:
        """Each server with whether it runs and its address, without credentials."""


def world_class(name: str) -> type[World]:
    """The world of that system. SandboxError with the nearest name when there is none."""
    if name not in WORLDS:
        near = get_close_matches(name, WORLDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(WORLDS)}"
        raise SandboxError(f"there is no sandbox for {name!r}; {hint}")
    module, _, attribute = WORLDS[name].partition(":")
    return cast("type[World]", getattr(importlib.import_module(module), attribute))


def table(*faults: Fault[Any]) -> Mapping[str, Fault[Any]]:
    """Faults by their names, in order. A name that stands twice is refused."""
    named = {fault.name: fault for fault in faults}
    if len(named) != len(faults):
        raise ValueError(f"a fault stands twice in {[fault.name for fault in faults]}")
    return named


def check_id(world: type[World] | World, check: str) -> str:
    """`system/check` of what a fault names."""
    return check if "/" in check else f"{world.name}/{check}"


def state(running: bool, address: str) -> str:
    """A line of `parts`."""
    return f"{'up' if running else 'DOWN'}  {address}"
