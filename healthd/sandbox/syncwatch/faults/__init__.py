"""What can be broken in the emulated SyncWatch, what notices it, and how it is mended again.

No fault leads to the playbooks read-logs, rotate-turn-credentials, rotate-database-password, force-logout, escalate and
incident-response: people choose to follow them.
"""

from __future__ import annotations

from healthd.sandbox.syncwatch.faults.application import APPLICATION
from healthd.sandbox.syncwatch.faults.cloud import CLOUD
from healthd.sandbox.syncwatch.faults.data import DATA
from healthd.sandbox.syncwatch.faults.machines import MACHINES
from healthd.sandbox.syncwatch.faults.platform import PLATFORM
from healthd.sandbox.world import table

FAULTS = table(*DATA, *APPLICATION, *PLATFORM, *MACHINES, *CLOUD)
