"""What the faults of the emulated Social Live have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from healthd.sandbox.social_live.production import Production
from healthd.sandbox.world import Fault

Act = Callable[[Production], Awaitable[object]]
Faults = tuple[Fault[Production], ...]
SOON, HELD, MINUTE, DRILL = "10 s", "15 s", "1 min", "5 min"


def now(do: Callable[[Production], object]) -> Act:
    """What changes at once, without waiting for anything."""

    async def act(world: Production) -> None:
        do(world)

    return act


def behave(**values: float) -> Act:
    """Set what the backend does from now on."""

    async def act(world: Production) -> None:
        for name, value in values.items():
            setattr(world.application.behaviour, name, value)

    return act


def sql(*statements: str) -> Act:
    """Have these done by the database's superuser."""

    async def act(world: Production) -> None:
        for statement in statements:
            await world.database.execute(statement)

    return act


def redis(*command: str) -> Act:
    """Have this done by Redis."""

    async def act(world: Production) -> None:
        await world.cache.client.execute_command(*command)  # type: ignore[no-untyped-call]

    return act
