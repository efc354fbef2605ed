"""Every emulated production, every fault of it: the right checks notice and no other, the incident names what to do,
and all is well again after mending."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from healthd.sandbox.world import WORLDS, Fault, world_class
from tests.servers.walking import PATIENCE, SLOW, Batches, Walk, bad_of

# checks that repeat what others tell: several faults may make them bad at the same time
SUMMARIES = {"syncwatch": ("prometheus-alerts", "alerts-today", "service-ready")}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WORLDS)
def test_every_fault_is_noticed_told_and_mended(name: str, tmp_path: Path) -> None:
    walk = Walk(world_class(name), tmp_path)
    try:
        walk_through(walk.start())
    finally:
        walk.stop()


def walk_through(walk: Walk) -> None:
    checks = walk.checks()
    walk.settle([], checks, ())
    # what takes long is looked at only where it matters, and once
    quick = [check for check in checks if walk.took[check] <= SLOW]
    before: Sequence[Fault[Any]] = ()
    shared = SUMMARIES.get(walk.world.name, ())
    for batch in Batches(walk.needs, shared).of(walk.world.faults.values()):
        started = time.monotonic()
        for fault in reversed(before):
            walk.mend(fault)
        # a check that was bad and is to be bad again must be seen well in between, or its incident stays as it was
        walk.recover(bad_of(before) & bad_of(batch))
        for fault in batch:
            walk.break_(fault)
        incidents = walk.settle(batch, bad_of([*before, *batch]), quick)
        for fault in batch:
            assert_told(walk, fault, batch, incidents)
        print(f"{time.monotonic() - started:5.1f} s  {', '.join(fault.name for fault in batch)}")
        before = batch
    for fault in reversed(before):
        walk.mend(fault)
    walk.settle([], checks, quick)


def assert_told(walk: Walk, fault: Fault[Any], batch: Sequence[Fault[Any]], incidents: Mapping[str, Any]) -> None:
    """One of its incidents names playbook and severity; once more where a busy machine made it worse for a moment."""
    if fault.incident is None:
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        told = [(incidents[check]["playbook"], incidents[check]["severity"]) for check in fault.noticed_by]
        if tuple(fault.incident) in told:
            return
        assert time.monotonic() < deadline, f"{fault.name}: {told}"
        walk.mend(fault)
        walk.recover(bad_of([fault]))
        walk.break_(fault)
        incidents = walk.settle(batch, bad_of(batch), ())
