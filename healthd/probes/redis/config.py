"""Redis's configuration, as far as healthd's user may read it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from healthd.probes.base import ProbeContext
from healthd.probes.redis.client import Asker, look

__all__ = ["config", "config_note"]


async def config(context: ProbeContext, url: SecretStr, *names: str) -> Mapping[str, str]:
    """The values of these settings. Those that may not be read are left out: hosted servers often refuse CONFIG."""

    async def ask(asker: Asker) -> dict[str, str]:
        replies = await asker.ask_all([("CONFIG", "GET", name) for name in names])
        return {reply[0]: reply[1] for reply in replies if isinstance(reply, list) and len(reply) == 2}

    return await context.once(("redis-config", url, names), lambda: look(context, url, ask))


def config_note(settings: Mapping[str, str], *names: str) -> str:
    """What to say about settings that were not to be had; empty when all are there."""
    absent = [name for name in names if name not in settings]
    return f"{' and '.join(absent)} cannot be read: CONFIG GET is not allowed here (+config|get)" if absent else ""
