"""A daemon factory: every daemon a test starts is ended with the test."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon

NewDaemon = Callable[..., Daemon]


@pytest.fixture
def new_daemon(tmp_path: Path) -> Iterator[NewDaemon]:
    """`new_daemon(catalogue, **settings)`; settings without the HEALTHD_ prefix, `ENV_NAME` for other variables."""
    made: list[Daemon] = []

    def make(catalogue: str, **settings: str) -> Daemon:
        daemon = Daemon(tmp_path / f"daemon{len(made)}", catalogue, **settings)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.stop(signal.SIGKILL)
        daemon.http.close()
