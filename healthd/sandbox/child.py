"""Child processes: on free loopback ports, logging to files, gone when the sandbox is gone."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_handed_out: set[int] = set()  # ports of servers that may not listen yet, or not just now


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the message says why and what to do."""


def free_port() -> int:
    """A free TCP port on loopback, below the range the system hands out to clients; no port twice, and none that
    another process of this user was handed."""
    for _ in range(500):
        port = 20000 + secrets.randbelow(12000)
        if port not in _handed_out and not port_taken(port) and _reserve(port):
            _handed_out.add(port)
            return port
    raise SandboxError("no free TCP port between 20000 and 32000 on 127.0.0.1")


def _reserve(port: int) -> bool:
    """Whether no other process has it, which then holds until this one ends: the byte of that number is locked."""
    file = _reservations()
    if file is None:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _reservations() -> int | None:
    """The file of this user's sandboxes; None where there can be none. Open for good: closing it gives all back."""
    path = Path(tempfile.gettempdir()) / f"healthd-ports-{os.getuid()}"
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def port_taken(port: int) -> bool:
    """Whether somebody listens on that loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _die_with_parent(sig: int) -> Callable[[], None] | None:
    """For the child, before it becomes the program: ask the kernel for `sig` when the sandbox ends, even by kill -9."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # not Linux
        return None

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)

    return ask


class Child:
    """One server program. `stop` and `start` may follow each other; `stop_signal` is its quick, clean shutdown."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self._argv = [str(part) for part in argv]
        self.log = log
        self._env, self._user, self._cwd, self._stop_signal = env, user, cwd, stop_signal
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen is not None and self.running else None

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll() if self._popen is not None else None

    def start(self) -> None:
        """Start it, unless it runs already."""
        if self.running:
            return
        with self.log.open("ab") as log:
            # a session of its own: Ctrl-C in the terminal reaches the sandbox alone, which stops them in order
            self._popen = subprocess.Popen(  # noqa: S603 - our own argument list, no shell
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, user=self._user,
                cwd=self._cwd, start_new_session=True, preexec_fn=_die_with_parent(self._stop_signal),  # noqa: PLW1509
            )  # fmt: skip

    async def listening(self, port: int, within: float = 30) -> None:
        """Wait until it accepts connections on `port`. SandboxError with the end of its log when it does not."""
        deadline = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < deadline:
            if not self.running:
                raise SandboxError(f"{self.name} ended with exit code {self.exit_code}:\n{self.log_tail()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
        raise SandboxError(f"{self.name} does not listen on port {port} after {within:.0f} s:\n{self.log_tail()}")

    async def ended(self) -> None:
        """Wait until it ends by itself."""
        if self._popen is not None:
            await asyncio.to_thread(self._popen.wait)

    async def stop(self, within: float = 10) -> None:
        """Stop it and wait until it has gone; kill it when it does not go."""
        if self._popen is None or self._popen.poll() is not None:
            return
        self.send(signal.SIGCONT)  # a suspended process would not see the next signal
        self.send(self._stop_signal)
        try:
            await asyncio.to_thread(self._popen.wait, within)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            await asyncio.to_thread(self._popen.wait)

    def send(self, sig: int) -> None:
        """Send a signal, if it still runs."""
        if self._popen is not None and self._popen.poll() is None:
            os.kill(self._popen.pid, sig)

    def log_tail(self, lines: int = 30) -> str:
        """The end of its log, for error messages."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"
