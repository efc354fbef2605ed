"""Fixtures of the whole suite: real servers, one per worker, on loopback."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.scheduling import ByPlace, turn

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


# how fast examples are made is the machine's doing, not theirs
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
# by hand: pytest --hypothesis-profile=long -n0 tests/pure/test_fuzz_*.py
settings.register_profile("long", max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "probe(*types): looks with these probes at a real server or an emulator")
    config.addinivalue_line("markers", "probe_failure(*types): what these probes say when they cannot look")
    # the order below holds, not that of the groups with most tests
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker: what takes long comes first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup` is ours."""
    return ByPlace(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the garbage collector need not look through it again and again."""
    gc.freeze()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder every user may walk down to; pytest keeps its own closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
