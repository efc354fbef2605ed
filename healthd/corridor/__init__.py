"""The one way through the house, for one run of one check: look, judge, record, tell."""

from healthd.corridor.corridor import Corridor
from healthd.corridor.gear import Gear

__all__ = ["Corridor", "Gear"]
