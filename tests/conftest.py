"""Fixtures of the whole suite: real servers, one per worker, on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "probe(*types): looks with these probes at a real server or an emulator")
    config.addinivalue_line("markers", "probe_failure(*types): what these probes say when they cannot look")


HERE = Path(__file__).parent
# tests around a server that is slow to start stay on one worker, so that it is started once
TOGETHER = (
    "component/aws",
    "component/docker",
    "component/kubernetes",
    "component/test_probe_prometheus",
    "component/web",
)


LONGEST = "test_sandbox_worlds"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup`."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
        for group in TOGETHER:
            if place.startswith(group):
                item.add_marker(pytest.mark.xdist_group(group))
    # those that mostly wait, for minutes, come first: others have the processor meanwhile
    items.sort(key=lambda item: not item.path.name.startswith(LONGEST))
