"""Every emulated production, every fault of it: the right checks notice and no other, the incident names what to do,
and all is well again after mending."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from healthd.sandbox.world import WORLDS, Fault, world_class
from tests.servers.walking import SLOW, Batches, Walk

# checks that repeat what others tell: several faults may make them bad at the same time
SUMMARIES = {"syncwatch": ("prometheus-alerts", "alerts-today")}


# each on a worker of its own
APART = [pytest.param(name, marks=pytest.mark.xdist_group(f"sandbox of {name}")) for name in WORLDS]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", APART)
def test_every_fault_is_noticed_told_and_mended(name: str, tmp_path: Path) -> None:
    walk = Walk(world_class(name), tmp_path)
    try:
        walk_through(walk.start())
    finally:
        walk.stop()


def walk_through(walk: Walk) -> None:
    checks = walk.checks()
    walk.settle([], checks)
    slow = {check for check, seconds in walk.took.items() if seconds > SLOW}
    before: Sequence[Fault[Any]] = ()
    shared = SUMMARIES.get(walk.world.name, ())
    for batch in Batches(walk.needs, shared).of(walk.world.faults.values()):
        started = time.monotonic()
        for fault in reversed(before):
            walk.mend(fault)
        # a check that was bad and is to be bad again must be seen well in between, or its incident stays as it was
        if bad(before) & bad(batch):
            walk.settle([], bad(before))
        for fault in batch:
            walk.break_(fault)
        concerned = bad(before) | bad(batch)
        incidents = walk.settle(batch, {check for check in checks if check not in slow or check in concerned})
        for fault in batch:
            assert_told(fault, incidents)
        print(f"{time.monotonic() - started:5.1f} s  {', '.join(fault.name for fault in batch)}")
        before = batch
    for fault in reversed(before):
        walk.mend(fault)
    walk.settle([], checks)


def bad(faults: Iterable[Fault[Any]]) -> set[str]:
    """The checks that find something."""
    return {check for fault in faults for check in (*fault.noticed_by, *fault.quiet)}


def bad_of(faults: Sequence[Fault[Any]]) -> set[str]:
    """The checks that these make bad."""
    return {check for fault in faults for check in (*fault.noticed_by, *fault.quiet)}


def assert_told(fault: Fault[Any], incidents: dict[str, Any]) -> None:
    """One of its incidents names the playbook and the severity."""
    if fault.incident is not None:
        told = [(incidents[check]["playbook"], incidents[check]["severity"]) for check in fault.noticed_by]
        assert tuple(fault.incident) in told, f"{fault.name}: {told}"
