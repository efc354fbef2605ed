"""The machines, and the dependencies of what runs on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from healthd.sandbox.syncwatch.faults.common import ALERTS, MINUTE, SECONDS, SOON, Act, Faults, at_once
from healthd.sandbox.syncwatch.telemetry import VOLUME
from healthd.sandbox.world import Fault, Opens

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production


def _use(node: str, **shares: float) -> Act:
    """Set how much of its resources a machine uses."""

    async def act(world: Production) -> None:
        for name, share in shares.items():
            setattr(world.nodes.machines.nodes[node], name, share)

    return act


MACHINES: Faults = (
    Fault(
        "disk-full", "fills node-1's disk to 96%", ("disk-usage", *ALERTS), SOON,
        _use("node-1", disk=0.96), _use("node-1", disk=0.6), ("storage-free",), Opens("disk-space-full", "SEV2"),
    ),
    Fault(
        "volume-full", "fills the transcoder's volume to 97%", ("volume-usage",), SECONDS,
        at_once(lambda w: w.media.volume_used.set(0.97 * VOLUME)),
        at_once(lambda w: w.media.volume_used.set(0.45 * VOLUME)), incident=Opens("disk-space-full", "SEV2"),
    ),
    Fault(
        "disk-filling", "lets node-2's disk grow by 0.02% a second", ("storage-forecast",), MINUTE,
        _use("node-2", growth=0.0002), _use("node-2", growth=0.0, disk=0.55), incident=Opens("disk-space-full", "SEV4"),
    ),
    Fault(
        "disk-short", "leaves 19% of node-2's disk free",
        ("disk-usage", "storage-free", "storage-forecast", *ALERTS), MINUTE,
        _use("node-2", disk=0.81), _use("node-2", disk=0.55), incident=Opens("disk-space-full", "SEV3"),
        apart=("disk-filling",),
    ),
    Fault(
        "memory-high", "uses 93% of node-1's memory", ("memory-usage",), SOON,
        _use("node-1", memory=0.93), _use("node-1", memory=0.55), incident=Opens("memory-leak", "SEV4"),
    ),
    Fault(
        "cpu-high", "uses 95% of node-1's CPU", ("cpu-usage",), SECONDS,
        _use("node-1", cpu=0.95), _use("node-1", cpu=0.35), incident=Opens("scale-up", "SEV4"),
    ),
    Fault(
        "vulnerable-dependency", "publishes an advisory for a dependency", ("vulnerabilities",), MINUTE,
        at_once(lambda w: w.machine.publish("critical", "high")), at_once(lambda w: w.machine.publish()),
        incident=Opens("vulnerable-dependencies", "SEV3"), apart=("outdated-dependencies",),
    ),
    Fault(
        "outdated-dependencies", "publishes newer versions of three dependencies", ("outdated-dependencies",), MINUTE,
        at_once(lambda w: w.machine.publish(outdated=3)), at_once(lambda w: w.machine.publish()),
        incident=Opens("vulnerable-dependencies", "SEV4"),
    ),
)  # fmt: skip
