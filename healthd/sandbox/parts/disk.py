"""A file system of an emulated production that can be filled: a small one in memory, seen by no other process."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

from healthd.sandbox.child import Child, SandboxError

_SIZE = 8 * 2**20  # bytes
_LOOKS, _PAUSE = 250, 0.02  # seconds between


class Disk:
    """`path` is a folder on a file system of its own.

    It is mounted in a namespace of one sleeping process, which needs no root, and reached through that process'
    folder in /proc. Where the system allows no namespaces, `path` is a folder like others, and `fill` says so.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.path = folder / "disk"
        self._mounted_at = folder / "mounted"
        self._child: Child | None = None
        self._log = log

    @property
    def running(self) -> bool:
        """Whether it is a file system of its own."""
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Mount it."""
        self._mounted_at.mkdir(parents=True, exist_ok=True)
        if (argv := self._argv()) is None:
            self._link(self._mounted_at)
            return
        self._child = Child("disk", argv, self._log)
        self._child.start()
        for _ in range(_LOOKS):
            if not self._child.running or self._inside().is_mount():
                break
            await asyncio.sleep(_PAUSE)
        else:
            await self._child.stop()
        self._link(self._inside() if self._child.running else self._mounted_at)

    async def stop(self) -> None:
        """Unmount it; what it held is lost."""
        self.path.unlink(missing_ok=True)
        if self._child is not None:
            await self._child.stop()

    async def fill(self, share: float) -> None:
        """Write until that share of it is in use."""
        if not self.running:
            raise SandboxError("this system allows no mount namespaces, so the sandbox has no disk of its own to fill")
        self.empty()
        (self.path / "filler").write_bytes(bytes(int(_SIZE * share)))

    def empty(self) -> None:
        """Delete what `fill` wrote."""
        (self.path / "filler").unlink(missing_ok=True)

    def _inside(self) -> Path:
        """The mounted folder, as seen from here."""
        pid = self._child.pid if self._child is not None else None
        return Path(f"/proc/{pid}/root{self._mounted_at}") if pid is not None else self._mounted_at

    def _link(self, target: Path) -> None:
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.path.symlink_to(target)

    def _argv(self) -> list[str] | None:
        """What mounts it and then sleeps; None where there are no namespaces."""
        if shutil.which("unshare") is None or shutil.which("mount") is None:
            return None
        namespaces = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
        script = f'mount -t tmpfs -o size={_SIZE} sandbox "$1" && exec sleep infinity'
        return ["unshare", *namespaces, "sh", "-c", script, "sh", str(self._mounted_at)]
