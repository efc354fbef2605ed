"""Containers of the emulated Docker engine: what is true of each, and how faults change it."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from struct import Struct
from typing import Any

_MIB = 2**20
_FRAME = Struct(">BxxxL")
_STREAMS = {"stdout": 1, "stderr": 2}
_KILLED = 137  # 128 and SIGKILL
_LINES_KEPT = 100_000
PROCESSORS = 4  # of the emulated machine
MEMORY = 16 * 2**30  # bytes


class State(StrEnum):
    """As the engine names them."""

    RUNNING = "running"
    EXITED = "exited"
    RESTARTING = "restarting"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class _Line:
    at: datetime
    stream: str
    text: str

    def frame(self, *, timestamp: bool) -> bytes:
        """As the engine sends a line of a container without a terminal: stream, length, content."""
        prefix = f"{_nanoseconds(self.at)} " if timestamp else ""
        content = f"{prefix}{self.text}\n".encode()
        return _FRAME.pack(_STREAMS[self.stream], len(content)) + content


class _Work:
    """Processor time used so far, going on at `share` processors."""

    def __init__(self, share: float) -> None:
        self._share, self._busy, self._read_at = share, 0.0, time.monotonic()

    @property
    def share(self) -> float:
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        self._busy = self.seconds()
        self._read_at, self._share = time.monotonic(), share

    def seconds(self) -> float:
        return self._busy + (time.monotonic() - self._read_at) * self._share


@dataclass
class Container:
    """One container, running and healthy to begin with.

    `project` and `service` are those of compose. `depends_on` are services. `cpus` (processors) and `memory_limit`
    (bytes) are None without a limit. `health_check` says whether it has one.
    """

    name: str
    image: str
    project: str = ""
    service: str = ""
    depends_on: tuple[str, ...] = ()
    cpus: float | None = None
    memory_limit: int | None = None
    memory: int = 200 * _MIB
    busy: float = 0.1  # processors kept busy
    health_check: bool = True
    written: int = 4096  # bytes in its own layer
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    created: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=3))
    state: State = State.RUNNING
    restarts: int = 0
    oom_killed: bool = False
    exit_code: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    health: str = ""
    health_output: str = "ok"
    _lines: deque[_Line] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))

    def __post_init__(self) -> None:
        self.started = self.started or self.created
        self.health = self.health or ("healthy" if self.health_check else "")
        self._work = _Work(self.busy)

    def say(self, text: str, *, stream: str = "stdout", at: datetime | None = None) -> None:
        """Write a line to its log: `stream` is stdout or stderr; `at` (not before the last line's) is now."""
        self._lines.append(_Line(at or datetime.now(UTC), stream, text))

    def forget(self, word: str) -> None:
        """Take the lines with that word out of its log."""
        kept = [line for line in self._lines if word not in line.text]
        self._lines.clear()
        self._lines.extend(kept)

    def work(self, processors: float) -> None:
        """Keep that many processors busy from now on."""
        self._work.share = processors

    def exit(self, code: int = 1) -> None:
        """It ends, and stays ended."""
        self.state, self.exit_code, self.finished, self.health = State.EXITED, code, datetime.now(UTC), ""

    def crash(self, times: int = 1, code: int = 1) -> None:
        """It ended and was started again by its restart policy so often; it runs now."""
        now = datetime.now(UTC)
        self.restarts += times
        self.state, self.exit_code, self.finished, self.started = State.RUNNING, code, now, now

    def crash_for_ever(self, code: int = 1) -> None:
        """It is between two starts, again and again."""
        self.crash(5, code)
        self.state = State.RESTARTING

    def kill_for_memory(self) -> None:
        """The kernel killed it for want of memory, and it was not started again."""
        self.exit(_KILLED)
        self.oom_killed = True

    def fail_health(self, output: str) -> None:
        """Its health check fails and says `output`."""
        self.health, self.health_output = "unhealthy", output

    def pause(self) -> None:
        """It stands still."""
        self.state = State.PAUSED

    def recover(self) -> None:
        """As after `docker compose up`: made anew, running and healthy; its log goes on."""
        now = datetime.now(UTC)
        self.id, self.created, self.started = secrets.token_hex(32), now, now
        self.state, self.restarts, self.oom_killed, self.exit_code = State.RUNNING, 0, False, 0
        self.finished, self.health_output = None, "ok"
        self.health = "healthy" if self.health_check else ""

    def listed(self) -> dict[str, Any]:
        """An item of /containers/json."""
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.image,
            "Created": int(self.created.timestamp()),
            "Labels": self._labels(),
            "State": self.state.value,
            "Status": self._status(),
            "SizeRw": self.written,
        }

    def inspected(self) -> dict[str, Any]:
        """The answer to /containers/ID/json."""
        state: dict[str, Any] = {
            "Status": self.state.value,
            "Running": self.state in (State.RUNNING, State.PAUSED, State.RESTARTING),
            "Paused": self.state is State.PAUSED,
            "Restarting": self.state is State.RESTARTING,
            "OOMKilled": self.oom_killed,
            "ExitCode": self.exit_code,
            "Error": "",
            "StartedAt": _nanoseconds(self.started),
            "FinishedAt": _nanoseconds(self.finished),
        }
        if self.health_check:
            code = int(self.health == "unhealthy")
            log = [{"Start": _nanoseconds(datetime.now(UTC)), "ExitCode": code, "Output": self.health_output}]
            state["Health"] = {"Status": self.health or "none", "FailingStreak": code * 3, "Log": log}
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": _nanoseconds(self.created),
            "State": state,
            "RestartCount": self.restarts,
            "Config": {"Image": self.image, "Labels": self._labels(), "Tty": False},
            "HostConfig": {"NanoCpus": int((self.cpus or 0) * 1e9), "Memory": self.memory_limit or 0},
        }

    def statistics(self) -> dict[str, Any]:
        """The answer to /containers/ID/stats, one of which says nothing of the processor's use: two do."""
        if self.state is not State.RUNNING:
            return {"id": self.id, "name": f"/{self.name}", "cpu_stats": {}, "memory_stats": {}}
        return {
            "id": self.id,
            "name": f"/{self.name}",
            "read": _nanoseconds(datetime.now(UTC)),
            "cpu_stats": {
                "cpu_usage": {"total_usage": int(self._work.seconds() * 1e9)},
                "system_cpu_usage": int(time.monotonic() * PROCESSORS * 1e9),
                "online_cpus": PROCESSORS,
            },
            "memory_stats": {
                "usage": self.memory,
                "stats": {"inactive_file": 0},
                "limit": self.memory_limit or MEMORY,
            },
        }

    def log(self, streams: frozenset[str], since: datetime, *, tail: int | None, timestamps: bool) -> Iterator[bytes]:
        """Its log in the engine's frames: lines of these streams since then, at most the last `tail`."""
        lines = [line for line in self._lines if line.stream in streams and line.at >= since]
        for line in lines if tail is None else lines[max(0, len(lines) - tail) :]:
            yield line.frame(timestamp=timestamps)

    def _labels(self) -> dict[str, str]:
        if not self.project:
            return {}
        return {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": self.service,
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.depends_on": ",".join(f"{name}:service_started:false" for name in self.depends_on),
        }

    def _status(self) -> str:
        """As `docker ps` shows it."""
        match self.state:
            case State.EXITED:
                return f"Exited ({self.exit_code}) {_ago(self.finished)} ago"
            case State.RESTARTING:
                return f"Restarting ({self.exit_code}) {_ago(self.finished)} ago"
            case State.PAUSED:
                return f"Up {_ago(self.started)} (Paused)"
        health = {"": "", "starting": " (health: starting)"}.get(self.health, f" ({self.health})")
        return f"Up {_ago(self.started)}{health}"


def _ago(then: datetime | None) -> str:
    seconds = (datetime.now(UTC) - then).total_seconds() if then else 0.0
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} seconds"


def _nanoseconds(moment: datetime | None) -> str:
    """As the engine writes times; its zero time for None."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z" if moment is not None else "0001-01-01T00:00:00Z"
