"""The INFO command: asked once for all checks of a batch, read into fields."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import SecretStr

from healthd.model.units import Unit
from healthd.probes.base import ProbeContext
from healthd.probes.redis.client import Asker, look

__all__ = ["field_value", "info", "number", "unit_of"]

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_EMPTY_DATABASE = re.compile(r"db\d+\.(keys|expires|avg_ttl)")
_UNITS: tuple[tuple[str, Unit], ...] = (
    (r"hit_ratio|.*_ratio|.*_perc", Unit.RATIO),
    (r".*_human|maxmemory_policy|mem_allocator|role|\w+_status|redis_version", Unit.TEXT),
    (r"used_memory\w*|maxmemory|total_system_memory|mem_\w+|.*_bytes|.*_size|repl_backlog_size", Unit.BYTES),
    (r".*_seconds|.*_usec|.*_seconds_ago|.*_time_sec|used_cpu_\w+", Unit.SECONDS),
    (r"instantaneous_ops_per_sec", Unit.PER_SECOND),
    (r"rdb_last_save_time", Unit.TIMESTAMP),
)  # fmt: skip


async def info(context: ProbeContext, url: SecretStr, section: str = "") -> Mapping[str, str]:
    """Every field INFO gives, as words; parts of a field are there too: `db0.keys`. Raises ProbeError."""

    async def ask(asker: Asker) -> Mapping[str, str]:
        return _fields(await asker.ask(*(("INFO", section) if section else ("INFO",))))

    return await context.once(("redis-info", url, section), lambda: look(context, url, ask))


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon or name.startswith("#"):
            continue
        fields[name] = value
        if "=" in value:
            parts = (part.partition("=") for part in value.split(","))
            fields |= {f"{name}.{key}": inner for key, equals, inner in parts if equals}
    return fields


def field_value(fields: Mapping[str, str], name: str) -> float | str | None:
    """A field as a number where it is one ("99.5%" is 0.995), else as a word; None when it is not there.

    `hit_ratio` is worked out: hits by look-ups, None before the first look-up. INFO leaves out empty databases:
    their `dbN.keys` are 0.
    """
    if name == "hit_ratio":
        return _hit_ratio(fields)
    text = fields.get(name)
    if text is None:
        return 0.0 if _EMPTY_DATABASE.fullmatch(name) else None
    if _NUMBER.fullmatch(text):
        return float(text) / 1e6 if name.endswith("_usec") else float(text)
    if text.endswith("%") and _NUMBER.fullmatch(text[:-1]):
        return float(text[:-1]) / 100
    return text


def number(fields: Mapping[str, str], name: str) -> float | None:
    """A field as a number, as `field_value` reads it; None where it is not there or a word."""
    value = field_value(fields, name)
    return value if isinstance(value, float) else None


def unit_of(name: str) -> Unit | None:
    """The unit of a numeric field, as far as its name tells."""
    return next((unit for pattern, unit in _UNITS if re.fullmatch(pattern, name)), None)


def _hit_ratio(fields: Mapping[str, str]) -> float | None:
    hits, misses = (float(fields.get(f"keyspace_{kind}", 0)) for kind in ("hits", "misses"))
    return hits / (hits + misses) if hits + misses else None
