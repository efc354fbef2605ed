"""Fixtures of the whole suite: real servers, one per worker, on loopback."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# each module holds one server's class and its fixtures
pytest_plugins = [
    "tests.servers.aws",
    "tests.servers.docker",
    "tests.servers.kubelet",
    "tests.servers.kubernetes",
    "tests.servers.mail",
    "tests.servers.nginx",
    "tests.servers.postgres",
    "tests.servers.prometheus",
    "tests.servers.receiver",
    "tests.servers.redis",
    "tests.servers.slack",
]


HERE = Path(__file__).parent
# for `--dist loadgroup`: what one worker does alone, so that what is slow to start is started once
FOLDERS = ("component/aws", "component/docker", "component/kubernetes", "component/postgres", "component/restore")
FILES = ("component/", "pure/")  # a module each; tests of other folders go where there is a worker free, one by one
# but not around what their module has started for several of them
SHARED = frozenset({"ask", "browser", "calm", "database", "itself", "kube", "quiet_daemon", "running"})
# begun first, so that nothing long is left for the end
ORDER = ("e2e/test_sandbox_worlds", *FOLDERS, "e2e/", "component/test_sandbox", "component/test_schedule", "component/")

# by hand: pytest --hypothesis-profile=long -n0 tests/pure/test_fuzz_*.py
settings.register_profile("long", max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "probe(*types): looks with these probes at a real server or an emulator")
    config.addinivalue_line("markers", "probe_failure(*types): what these probes say when they cannot look")
    # the order below holds, not that of the groups with most tests
    config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups and order for `--dist loadgroup`."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if (group := _group(item)) is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _turn(_place(item)))


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else item.path.as_posix()


def _group(item: pytest.Item) -> str | None:
    """What is done by one worker; None: this test may go anywhere."""
    place = _place(item)
    for folder in FOLDERS:
        if place.startswith(f"{folder}/"):
            return folder
    shared = SHARED.intersection(getattr(item, "fixturenames", ()))
    return place if shared or place.startswith(FILES) else None


def _turn(place: str) -> int:
    return next((number for number, start in enumerate(ORDER) if place.startswith(start)), len(ORDER))


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the garbage collector need not look through it again and again."""
    gc.freeze()
