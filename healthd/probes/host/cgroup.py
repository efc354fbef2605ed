"""Memory of a control group, version 2 or 1.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SYSTEM = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2^63


class CgroupError(Exception):
    """There is no such group, or it does not account memory."""


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """Bytes. `used` leaves out file pages the kernel can drop at once (inactive_file), as the kubelet does."""

    path: Path
    used: int
    limit: int | None
    swap_used: int | None
    swap_limit: int | None


def own_cgroup() -> Path:
    """The folder of the group this process is in. Inside a container that is usually the root of what it sees."""
    try:
        lines = _SELF.read_text().splitlines()
    except OSError as error:
        raise CgroupError(f"cannot read {_SELF}: {error.strerror}") from None
    places = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    for controllers, root, file in (
        ("memory", _SYSTEM / "memory", "memory.usage_in_bytes"),
        ("", _SYSTEM, "memory.current"),
        ("", _SYSTEM / "unified", "memory.current"),
    ):
        if controllers in places:
            # the path is the host's; in a container without a cgroup namespace only the root is there
            for folder in (root / places[controllers].lstrip("/"), root):
                if (folder / file).exists():
                    return folder
    raise CgroupError(f"no memory control group of this process found under {_SYSTEM}")


def read_memory(folder: Path) -> CgroupMemory:
    """What the group uses and may use; the tightest limit of it and the groups above it."""
    if (folder / "memory.current").exists():
        return _version_2(folder)
    if (folder / "memory.usage_in_bytes").exists():
        return _version_1(folder)
    raise CgroupError(f"{folder} is not a control group with memory accounting (no memory.current in it)")


def _version_2(folder: Path) -> CgroupMemory:
    used = _number(folder / "memory.current") or 0
    return CgroupMemory(
        folder,
        max(0, used - _statistic(folder, "inactive_file")),
        _tightest(folder, "memory.max"),
        _number(folder / "memory.swap.current"),
        _tightest(folder, "memory.swap.max"),
    )


def _version_1(folder: Path) -> CgroupMemory:
    used, limit = _number(folder / "memory.usage_in_bytes") or 0, _tightest(folder, "memory.limit_in_bytes")
    both, both_limit = _number(folder / "memory.memsw.usage_in_bytes"), _tightest(folder, "memory.memsw.limit_in_bytes")
    return CgroupMemory(
        folder,
        max(0, used - _statistic(folder, "total_inactive_file")),
        limit,
        max(0, both - used) if both is not None else None,
        max(0, both_limit - limit) if both_limit is not None and limit is not None else None,
    )


def _tightest(folder: Path, file: str) -> int | None:
    limits = []
    for group in (folder, *folder.parents):
        if not (group / file).exists():
            break
        limits.append(_number(group / file))
    return min((limit for limit in limits if limit is not None), default=None)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CgroupError(f"cannot read {path}: {error.strerror}") from None
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else None


def _statistic(folder: Path, name: str) -> int:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
