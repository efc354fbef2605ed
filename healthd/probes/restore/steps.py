"""What a drill did, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from healthd.model.outcomes import Evidence
from healthd.model.units import format_duration

__all__ = ["Steps"]


@dataclass(slots=True)
class Steps:
    """A journal. `doing` is the step under way; `seconds` has the time of those done by their names."""

    doing: str = "starting"
    seconds: dict[str, float] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        self.doing, began = name, time.monotonic()
        ended = "failed after"
        try:
            yield
            ended = "took"
        finally:
            self.seconds[name] = took = time.monotonic() - began
            self._lines.append(f"{name}: {ended} {format_duration(round(took, 3))}")

    def say(self, line: str) -> None:
        """Note something beside the times."""
        self._lines.append(line)

    def evidence(self, most: int) -> Evidence:
        """The journal so far, at most `most` characters."""
        return Evidence("steps", "\n".join(self._lines)[:most])
