"""Of every emulated production each check can be made to notice something, and each playbook can be led to."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthd.sandbox.world import WORLDS, world_class
from tests.pure.truth_table import catalogue_of

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()

# playbooks no check leads to: people choose to follow them
CHOSEN: dict[str, set[str]] = {
    "syncwatch": {
        *("read-logs", "rotate-turn-credentials", "rotate-database-password", "force-logout", "escalate"),
        "incident-response",
    },
    "syncup": {"deploy-staging", "deploy-production", "rollback"},
    "synk": set(),
    "social-live": set(),
}


@pytest.mark.parametrize("name", WORLDS)
def test_each_check_is_broken_by_a_fault(name: str) -> None:
    checks = {check.name for check in catalogue_of(name).checks.values()}
    broken = {check for fault in world_class(name).faults.values() for check in (*fault.noticed_by, *fault.quiet)}
    assert broken - checks == {check for check in broken if "/" in check}, "a fault names what is no check"
    assert checks - broken == set()


@pytest.mark.parametrize("name", WORLDS)
def test_each_playbook_is_named_by_a_fault(name: str) -> None:
    playbooks = set(catalogue_of(name).systems[name].playbooks)
    named = {fault.incident.playbook for fault in world_class(name).faults.values() if fault.incident is not None}
    assert named <= playbooks, "a fault names what is no playbook"
    assert playbooks - named == CHOSEN[name]


@pytest.mark.parametrize("name", WORLDS)
def test_each_incident_suggests_a_fix(name: str) -> None:
    """The playbook it names has steps, the severity is one of the system's own scale."""
    system = catalogue_of(name).systems[name]
    for fault in world_class(name).faults.values():
        if fault.incident is not None:
            playbook = system.playbooks[fault.incident.playbook]
            assert playbook.diagnostics or playbook.remediation, fault.name
            assert fault.incident.severity in system.severities, fault.name


@pytest.mark.parametrize("name", WORLDS)
def test_the_page_lists_each_fault_and_what_nothing_leads_to(name: str) -> None:
    """docs/sandbox.md tells of it in the section of the system."""
    section = PAGE.partition(f"\n## {name}")[2].partition("\n## ")[0]
    wanted = {*world_class(name).faults, *CHOSEN[name]}
    assert [fault for fault in wanted if f"`{fault}`" not in section] == []
