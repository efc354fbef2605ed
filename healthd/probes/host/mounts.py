"""The mounted file systems, from /proc/self/mountinfo (proc_pid_mountinfo(5)): reading it touches none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")

# file systems without blocks of their own, and images that are always exactly full
_PSEUDO = frozenset((
    "autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "cramfs", "debugfs",
    "devfs", "devpts", "devtmpfs", "efivarfs", "erofs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal",
    "fuse.snapfuse", "fusectl", "hugetlbfs", "iso9660", "mqueue", "nfsd", "none", "nsfs", "pipefs", "proc",
    "pstore", "ramfs", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "sockfs", "squashfs", "sysfs",
    "tmpfs", "tracefs", "udf", "usbfs",
))  # fmt: skip
# single files that containers get from the machine underneath
_HANDED_IN = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"})
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. `device` is the kernel's major:minor, the same for every bind mount of it."""

    point: str
    type: str
    device: str
    source: str

    @property
    def is_real(self) -> bool:
        """Whether it can fill up: not pseudo, not in memory, not a layer of somebody's container."""
        if self.type in _PSEUDO or self.point in _HANDED_IN:
            return False
        return self.type != "overlay" or self.point == "/"


def mounts() -> list[Mount]:
    """All of them, in the order they were mounted; the one on top where a point was mounted over."""
    try:
        text = _MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:
        return _mounts_by_psutil()
    return list({mount.point: mount for mount in map(_parse, text.splitlines())}.values())


def real_mounts(all_mounts: Iterable[Mount]) -> list[Mount]:
    """One mount for each real file system, the one with the shortest path: bind mounts would count it twice."""
    chosen: dict[str, Mount] = {}
    for mount in all_mounts:
        if mount.is_real and (mount.device not in chosen or len(mount.point) < len(chosen[mount.device].point)):
            chosen[mount.device] = mount
    return list(chosen.values())


def _parse(line: str) -> Mount:
    head, _, tail = line.partition(" - ")
    fields, (kind, source, *_) = head.split(" "), tail.split(" ")
    return Mount(_unescape(fields[4]), kind, fields[2], _unescape(source))


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _mounts_by_psutil() -> list[Mount]:
    import psutil

    return [Mount(p.mountpoint, p.fstype, p.device, p.device) for p in psutil.disk_partitions(all=False)]
