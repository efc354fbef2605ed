"""Of every emulated production each check can be made to notice something, and each playbook can be led to."""

from __future__ import annotations

import pytest

from healthd.sandbox.world import world_class
from tests.pure.truth_table import catalogue_of

# playbooks no check leads to: people choose to follow them
CHOSEN: dict[str, set[str]] = {
    "syncup": {"deploy-staging", "deploy-production", "rollback"},
    "synk": set(),
    "social-live": set(),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_each_check_is_broken_by_a_fault(name: str) -> None:
    checks = {check.name for check in catalogue_of(name).checks.values()}
    broken = {check for fault in world_class(name).faults.values() for check in (*fault.noticed_by, *fault.quiet)}
    assert broken - checks == {check for check in broken if "/" in check}, "a fault names what is no check"
    assert checks - broken == set()


@pytest.mark.parametrize("name", CHOSEN)
def test_each_playbook_is_named_by_a_fault(name: str) -> None:
    playbooks = set(catalogue_of(name).systems[name].playbooks)
    named = {fault.incident.playbook for fault in world_class(name).faults.values() if fault.incident is not None}
    assert named <= playbooks, "a fault names what is no playbook"
    assert playbooks - named == CHOSEN[name]
