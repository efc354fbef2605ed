"""How many checks begin to fire at about the same time: whether that is a storm."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from healthd.model.catalogue import Grouping

DENSE = timedelta(seconds=10)  # within which the checks of all systems are counted together


class Bursts:
    """Remembers which checks began to fire lately. A check that does so again and again counts once."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, datetime] = OrderedDict()  # by check id, the oldest first
        self._of: dict[str, OrderedDict[str, datetime]] = {}  # by system, likewise
        self.last: datetime | None = None  # when the last one began

    def begin(self, system: str, check_id: str, at: datetime) -> None:
        """This check begins to fire."""
        if self.last is not None and at < self.last - DENSE:  # the clock was set back: what was counted is yet to come
            self._all.clear()
            self._of.clear()
        for begun in (self._all, self._of.setdefault(system, OrderedDict())):
            begun[check_id] = at
            begun.move_to_end(check_id)
        self.last = at

    def is_storm(self, system: str, grouping: Grouping, at: datetime) -> bool:
        """Whether so many checks of this system, or in a shorter time of any, begin to fire that it is a storm."""
        if not grouping.storm:
            return False
        own = self._of.setdefault(system, OrderedDict())
        _prune(own, at - grouping.storm_window)
        _prune(self._all, at - DENSE)
        return len(own) >= grouping.storm or len(self._all) >= grouping.storm


def _prune(begun: OrderedDict[str, datetime], before: datetime) -> None:
    while begun and next(iter(begun.values())) < before:
        begun.popitem(last=False)
