"""Holds tests to what they say they try."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.probes import PROBES
from healthd.probes.base import Probe
from tests.component.looking import Looker


@pytest.fixture(autouse=True)
def _does_as_it_says(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked `probe` looked with these probes and saw something, one marked `probe_failure` was refused."""
    Looker.looks.clear()
    yield
    seen = {kind(probe) for probe, found in Looker.looks if not has_failed(found)}
    failed = {kind(probe) for probe, found in Looker.looks if has_failed(found)}
    for mark, done in (("probe", seen), ("probe_failure", failed)):
        said = {name for marker in request.node.iter_markers(mark) for name in marker.args}
        assert said <= done, f"marked {mark} for {sorted(said - done)}, which it did not try"


def has_failed(found: Observation | ProbeError) -> bool:
    """UNKNOWN; or down, which for what is to be reached is a finding."""
    return isinstance(found, ProbeError) or any(m.name == "up" and m.value == 0 for m in found.measurements)


def kind(probe: Probe) -> str:
    """Its name in YAML."""
    return next((name for name in PROBES if type(PROBES[name]) is type(probe)), "")
