"""The output of a monitoring plugin: `TEXT | performance data`, further lines, then maybe more performance data.

Source: the Monitoring Plugins Development Guidelines, sections "Plugin Output for Nagios" and "Performance data".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from healthd.model.units import SUFFIXES, Unit
from healthd.probes.base import Measurement

# labels have a bound, and the whole too: trying every start of a megabyte of anything would hold up the daemon
_ITEM = re.compile(r"(?:'(?P<quoted>(?:[^']|''){0,200})'|(?P<plain>[^\s'=]{1,200}))=(?P<data>\S{0,200})")
_MAX_PERFDATA = 64_000
_VALUE = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<unit>[^\d;]*)$")


@dataclass(frozen=True, slots=True)
class PluginOutput:
    """`summary` is the first line without its performance data; `unread` what was no performance data."""

    summary: str
    details: str
    measurements: tuple[Measurement, ...]
    unread: tuple[str, ...]


def parse_plugin_output(text: str) -> PluginOutput:
    """Read it; anything at all gives a result. Each label is a measure's name, the first one counts."""
    first, _, rest = text.strip().partition("\n")
    summary, _, perfdata = first.partition("|")
    details, _, more = rest.partition("|")
    found: dict[str, Measurement] = {}
    unread: list[str] = []
    for label, data in _items(f"{perfdata} {more}"[:_MAX_PERFDATA]):
        value = data.split(";", 1)[0]
        match = _VALUE.match(value.replace(",", "."))
        if match:
            found.setdefault(label, _measurement(label, float(match["number"]), match["unit"]))
        elif value != "U":  # the plugin's own word for "could not find out"
            unread.append(f"{label}={data}")
    return PluginOutput(summary.strip(), details.strip(), tuple(found.values()), tuple(unread))


def _items(text: str) -> Iterator[tuple[str, str]]:
    for item in _ITEM.finditer(text):
        yield (item["quoted"].replace("''", "'") if item["quoted"] is not None else item["plain"]), item["data"]


def _measurement(label: str, value: float, unit: str) -> Measurement:
    word = unit.strip().lower()
    if word in ("", "c"):  # c: a counter that only grows
        return Measurement(label, value, Unit.COUNT if word else None)
    if word not in SUFFIXES:
        return Measurement(label, value, None)
    base, factor = SUFFIXES[word]
    # division keeps 80% and 500ms the doubles that 0.8 and 0.5 are
    return Measurement(label, value / round(1 / factor) if factor < 1 else value * factor, base)
