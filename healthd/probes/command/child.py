"""Running one program in a process group of its own, so that nothing it starts outlives the look.

Only what moves to a session of its own escapes (a daemon); it cannot hold up the look either, even with the pipes open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

_PIECE = 1 << 16
# a program that writes this many times what is kept is stopped: reading on would only cost
_FLOOD = 64
# how long output may come in after the program ended, from helpers it started
_AFTERMATH = 0.25


class ChildError(Exception):
    """It was stopped: it took too long, or wrote without end. What it wrote until then is kept."""

    def __init__(self, reason: str, kind: str, stdout: Captured, stderr: Captured) -> None:
        super().__init__(reason)
        self.kind, self.stdout, self.stderr = kind, stdout, stderr


@dataclass(slots=True)
class Captured:
    """The first bytes of an output; `total` and `lines` count all of it, kept or not."""

    data: bytes = b""
    total: int = 0
    lines: int = 0

    @property
    def cut(self) -> bool:
        return self.total > len(self.data)


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended by itself. `exit_code` is 128 + n when signal n ended it. `duration` is in seconds."""

    exit_code: int
    duration: float
    stdout: Captured
    stderr: Captured


async def run_child(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: str, timeout: float, grace: float, keep: int
) -> Finished:
    """Run to the end. After `timeout` seconds the group gets SIGTERM, `grace` later SIGKILL; when cancelled SIGKILL.

    Of each output `keep` bytes are kept, the rest is read and dropped. Raises OSError when it cannot be started and
    ChildError when it had to be stopped.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    child = _Child(argv, env, cwd, keep)
    try:
        await child.wait({child.exited, *child.floods()}, timeout)
        duration = loop.time() - started
        if not child.exited.done():
            flooded = any(flood.done() for flood in child.floods())
            await child.end(grace)
            raise ChildError(
                f"wrote more than {_FLOOD * keep} bytes" if flooded else f"did not end within {timeout:g}s",
                "limit" if flooded else "timeout",
                child.stdout.captured,
                child.stderr.captured,
            )
        await child.wait_for_rest()
        return Finished(child.reap(), duration, child.stdout.captured, child.stderr.captured)
    finally:
        child.close()


class _Child:
    """The process, a thread that waits for it, and readers for its two outputs."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, keep: int) -> None:
        process = self._process = subprocess.Popen(  # noqa: S603 - the caller has asked the allow list
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=env, cwd=cwd, start_new_session=True,
        )  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._may_reap = threading.Event()
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout, self.stderr = _Output(process.stdout, keep), _Output(process.stderr, keep)
        threading.Thread(target=self._watch, name=f"child {process.pid}", daemon=True).start()

    def floods(self) -> set[asyncio.Future[None]]:
        return {self.stdout.flooded, self.stderr.flooded}

    async def wait(self, futures: set[asyncio.Future[None]], timeout: float) -> None:
        await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def end(self, grace: float) -> None:
        self._signal(signal.SIGTERM)
        await self.wait({self.exited}, grace)

    async def wait_for_rest(self) -> None:
        """Take what is in the pipes, and what helpers that still run write in the next moment."""
        ends = {self.stdout.ended, self.stderr.ended}
        await asyncio.wait(ends, timeout=_AFTERMATH)

    def reap(self) -> int:
        """Its exit code. Only for a child that has exited."""
        self._signal(signal.SIGKILL)  # helpers left behind; before reaping, while the group's number is surely ours
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """Kill what is left of the group and let go. The thread reaps a child that has not exited yet."""
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
        self._may_reap.set()
        self.stdout.close()
        self.stderr.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all gone, or it became another user
            os.killpg(self._process.pid, number)

    def _watch(self) -> None:
        # without reaping, so that the group's number cannot be given to others while it may yet be signalled
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._has_exited)
        self._may_reap.wait()
        self._process.wait()

    def _has_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


class _Output:
    """Reads one pipe whenever there is something, keeping the first bytes."""

    def __init__(self, pipe: IO[bytes], keep: int) -> None:
        self.captured = Captured()
        self._pipe, self._keep = pipe, keep
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.flooded: asyncio.Future[None] = self._loop.create_future()
        self._last = b"\n"
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def close(self) -> None:
        """At its end, or before it: a daemon left behind then writes into a broken pipe."""
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.captured.lines += self._last != b"\n"  # a last line without its end is a line too

    def _read(self) -> None:
        try:
            piece = os.read(self._pipe.fileno(), _PIECE)
        except BlockingIOError:
            return
        if piece:
            self._keep_some(piece)
            return
        self.close()
        self.ended.set_result(None)

    def _keep_some(self, piece: bytes) -> None:
        kept = self.captured
        kept.data += piece[: self._keep - len(kept.data)]
        kept.total += len(piece)
        kept.lines += piece.count(b"\n")
        self._last = piece[-1:]
        if kept.total > self._keep * _FLOOD and not self.flooded.done():
            self.flooded.set_result(None)
