"""What takes disk in the emulated Docker engine: images, volumes, build cache."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


def _days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@dataclass
class Image:
    """One image. `tag` "" is dangling; `size` and `shared` (of it, with other images) in bytes."""

    tag: str
    size: int
    age_days: float = 1.0
    shared: int = 0
    id: str = field(default_factory=lambda: f"sha256:{secrets.token_hex(32)}")

    def __post_init__(self) -> None:
        self.made = _days_ago(self.age_days)

    def listed(self, used_by: int) -> dict[str, Any]:
        """An item of /images/json and of /system/df. `used_by` counts containers."""
        return {
            "Id": self.id,
            "RepoTags": [self.tag] if self.tag else None,
            "RepoDigests": None,
            "Created": int(self.made.timestamp()),
            "Size": self.size,
            "SharedSize": self.shared,
            "Containers": used_by,
            "Labels": None,
        }


@dataclass
class Volume:
    """One volume, used by so many containers."""

    name: str
    size: int  # bytes
    used_by: int = 1

    def listed(self) -> dict[str, Any]:
        """An item of /volumes and of /system/df."""
        return {
            "Name": self.name,
            "Driver": "local",
            "Mountpoint": f"/var/lib/docker/volumes/{self.name}/_data",
            "Scope": "local",
            "UsageData": {"Size": self.size, "RefCount": self.used_by},
        }


@dataclass
class CacheEntry:
    """One entry of the build cache, used last so long ago."""

    size: int  # bytes
    age_days: float = 1.0
    id: str = field(default_factory=lambda: secrets.token_hex(12))

    def __post_init__(self) -> None:
        self.used = _days_ago(self.age_days)

    def listed(self) -> dict[str, Any]:
        """An item of /system/df."""
        used = self.used.isoformat()
        return {
            "ID": self.id,
            "Type": "regular",
            "InUse": False,
            "Shared": False,
            "Size": self.size,
            "CreatedAt": used,
            "LastUsedAt": used,
        }
