"""What can be broken in the emulated Social Live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthd.sandbox.social_live.faults.cluster import CLUSTER
from healthd.sandbox.social_live.faults.monitoring import MONITORING
from healthd.sandbox.social_live.faults.outages import OUTAGES
from healthd.sandbox.social_live.faults.performance import PERFORMANCE
from healthd.sandbox.social_live.faults.upkeep import UPKEEP
from healthd.sandbox.world import Fault, table

FAULTS: Mapping[str, Fault[Any]] = table(*OUTAGES, *PERFORMANCE, *CLUSTER, *MONITORING, *UPKEEP)
