"""The probe command: measures out of the output."""

from __future__ import annotations

import pytest

from healthd.model.units import Unit
from healthd.probes.base import ProbeError, ProbeLimits
from tests.component.command.programs import PROBE, sh
from tests.component.looking import Looker, values


async def test_extracting_by_pattern(look: Looker) -> None:
    observation = await look(
        **sh(
            "echo 'queued: 12'; echo 'took 350 of them'; echo 'size 1.5GiB'; echo 'use 81%'; echo mode=fast;"
            " echo 'lag 7 ms' >&2",
            extract={
                "queued": r"^queued: (\d+)$",
                "took": {"pattern": r"took (\d+)", "unit": "ms"},
                "size": r"size (\S+)",
                "use": {"pattern": r"use (\d+)%", "unit": "%"},
                "mode": {"pattern": r"mode=(\w+)", "unit": "text"},
                "lag": r"lag (.*)",
                "absent": r"never said: (\d+)",
            },
        )
    )
    found = {m.name: (m.value, m.unit) for m in observation.measurements if m.name not in ("duration", "lines")}
    assert found == {
        "exit_code": (0, Unit.COUNT),
        "queued": (12, None),
        "took": (0.35, Unit.SECONDS),
        "size": (1.5 * 2**30, Unit.BYTES),
        "use": (0.81, Unit.RATIO),
        "mode": ("fast", Unit.TEXT),
        "lag": (0.007, Unit.SECONDS),
    }


@pytest.mark.probe_failure("command")
async def test_a_pattern_that_finds_no_number_is_a_failure_unless_the_program_failed(look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"a: what the pattern found is not a number: 'word' .*unit: text") as caught:
        await look(**sh("echo a word", extract={"a": "a (.*)"}))
    assert caught.value.kind == "protocol"
    assert caught.value.evidence[0].text == "a word"
    assert values(await look(**sh("echo a word; exit 1", extract={"a": "a (.*)"})))["exit_code"] == 1
    with pytest.raises(ProbeError, match="'5MB' is in bytes, not in ms"):
        await look(**sh("echo 5MB", extract={"a": {"pattern": "(.*)", "unit": "ms"}}))


async def test_extracting_from_json(look: Looker) -> None:
    document = '{"ok": true, "none": null, "took": 12, "state": "ready", "q": [{"n": 1}, {"n": 2}], "size": "3"}'
    observation = await look(
        **sh(
            f"echo '{document}'",
            json={
                "ok": "$.ok",
                "none": "$.none",
                "gone": "$.gone",
                "took": {"path": "$.took", "unit": "ms"},
                "state": "$.state",
                "n": "$.q[*].n",
                "queues": "$.q.length()",
                "size": {"path": "$.size", "unit": "kB"},
            },
        )
    )
    seen = values(observation)
    assert {k: v for k, v in seen.items() if k not in ("duration", "lines", "exit_code")} == {
        "ok": 1,
        "took": 0.012,
        "state": "ready",
        "n{0}": 1,
        "n{1}": 2,
        "queues": 2,
        "size": 3000,
    }


async def test_output_that_is_no_json(look: Looker) -> None:
    with pytest.raises(ProbeError, match="the output is not JSON: Expecting value"):
        await look(**sh("echo oops", json={"a": "$.a"}))
    with pytest.raises(ProbeError, match=r"is no single value: point deeper, or at \.length\(\)"):
        await look(**sh("echo '{\"a\": []}'", json={"a": "$.a"}))
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=10)
    with pytest.raises(ProbeError, match="longer than what is kept"):
        await look(**sh('echo \'{"a": "0123456789"}\'', json={"a": "$.a"}))


def test_measures_follow_the_parameters() -> None:
    known = PROBE.measures_for(PROBE.Params(argv=["x"], extract={"t": {"pattern": "(.)", "unit": "ms"}, "n": "(.)"}))
    assert known is not None
    assert (known["t"].unit, known["n"].unit) == (Unit.SECONDS, None)
    assert "plugin_status" not in known
    assert PROBE.measures_for(PROBE.Params(argv=["x"], format="plugin")) is None
