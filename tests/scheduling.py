"""Which tests run one after another in one worker, and what is begun first.

xdist's own groups (`xdist_group`) do nothing with this pytest: what they add to a test's id is not taken.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# around servers that are slow to start: a worker each
FOLDERS = ("component/aws", "component/docker", "component/kubernetes", "component/postgres", "component/restore")
# tests that share nothing and take long: each goes where there is a worker free
APART = (
    "component/test_schedule_year", "e2e/test_bad_days", "e2e/test_bad_stores", "e2e/test_commands",
    "e2e/test_coverage_command", "e2e/test_diagnosis", "e2e/test_escalation", "e2e/test_incident",
    "e2e/test_permissions_command", "e2e/test_sandbox_worlds",
)  # fmt: skip
_WORLDS = "e2e/test_sandbox_worlds.py::test_every_fault_is_noticed_told_and_mended"
# nothing long is left for the end, and what mostly waits goes beside what keeps a processor busy
FIRST = (
    f"{_WORLDS}[syncwatch]", f"{_WORLDS}[social-live]", "component/aws", "e2e/test_docs", "component/postgres",
    _WORLDS, *FOLDERS, "e2e/", "component/test_sandbox", "component/test_schedule", "component/",
    "pure/test_schedule", "pure/test_fuzz", "pure/test_catalogue",
)  # fmt: skip


class ByPlace(LoadScopeScheduling):  # type: ignore[misc]
    """A folder, a file or a test at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    """What a worker is given as a whole: tests of one unit may count on each other's servers."""
    place = nodeid.partition("::")[0].removeprefix("tests/")
    if place.startswith(APART):
        return nodeid
    return next((folder for folder in FOLDERS if place.startswith(f"{folder}/")), place)


def turn(nodeid: str) -> int:
    """The lower, the sooner."""
    place = nodeid.removeprefix("tests/")
    return next((number for number, start in enumerate(FIRST) if place.startswith(start)), len(FIRST))
