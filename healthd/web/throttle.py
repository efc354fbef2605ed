"""How often an address may be wrong. Bounded memory: the address that was wrong longest ago is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network

MOST = 10_000  # addresses remembered


class Throttle:
    """A bucket for each key: `burst` at once, and one more every `every` seconds."""

    def __init__(self, burst: int, every: float, most: int = MOST) -> None:
        self._burst, self._every, self._most = burst, every, most
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (taken, as of)

    def wait(self, key: str, now: datetime) -> float:
        """Seconds until the next one is let through; 0 when it is now."""
        over = self._taken(key, now.timestamp()) - self._burst + 1
        return max(0.0, over * self._every)

    def take(self, key: str, now: datetime) -> None:
        """Count one."""
        at = now.timestamp()
        self._used[key] = (self._taken(key, at) + 1, at)
        self._used.move_to_end(key)
        while len(self._used) > self._most:
            self._used.popitem(last=False)

    def __len__(self) -> int:
        return len(self._used)

    def _taken(self, key: str, at: float) -> float:
        taken, since = self._used.get(key, (0.0, at))
        return max(0.0, taken - max(0.0, at - since) / self._every)


def neighbourhood(address: str) -> str:
    """What one customer of a provider has: an IPv4 address, or a /64 of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
