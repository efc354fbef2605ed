"""The probe command: monitoring plugins."""

from __future__ import annotations

import time

import pytest

from healthd.model.units import Unit
from healthd.probes.base import ProbeError
from healthd.probes.command.plugin import parse_plugin_output
from tests.component.command.programs import PROBE, sh
from tests.component.looking import Looker, values

PLUGIN_TEXT = """DISK WARNING - free space: / 3326 MB (56%) | /=2643MB;5948;5958;0;5968 'my "disk"'=12KB
/boot 68 MB (69%)
/home 69357 MB (27%) | time=350ms;1;2 hits=7c load=0.42 lost=5%;; 'it''s'=1 unknown=U odd=abc
more=3,5s"""


def test_performance_data_is_read_into_base_units() -> None:
    output = parse_plugin_output(PLUGIN_TEXT)
    assert output.summary == "DISK WARNING - free space: / 3326 MB (56%)"
    assert output.details.startswith("/boot 68 MB")
    assert {m.name: (m.value, m.unit) for m in output.measurements} == {
        "/": (2643e6, Unit.BYTES),
        'my "disk"': (12e3, Unit.BYTES),
        "time": (0.35, Unit.SECONDS),
        "hits": (7, Unit.COUNT),
        "load": (0.42, None),
        "lost": (0.05, Unit.RATIO),
        "it's": (1, None),
        "more": (3.5, Unit.SECONDS),
    }
    assert output.unread == ("odd=abc",)


@pytest.mark.parametrize("text", ["", "|", "no perfdata", "a | = b = c", "x | ''=", "\0|\n|", "OK|a=1|b=2"])
def test_any_text_is_a_plugins_output(text: str) -> None:
    parse_plugin_output(text)


@pytest.mark.parametrize("filler", ["a", "'", "''=", "a=", "=", "'a "])
def test_a_megabyte_of_anything_is_read_in_no_time(filler: str) -> None:
    started = time.process_time()
    parse_plugin_output("OK | " + filler * (1_000_000 // len(filler)))
    assert time.process_time() - started < 2


async def test_a_plugin_judges_and_measures(look: Looker) -> None:
    for status, note in ((0, ""), (1, "SWAP said - 42% free"), (2, "SWAP said - 42% free")):
        observation = await look(**sh(f"echo 'SWAP said - 42% free | free=42%;20;10'; exit {status}", format="plugin"))
        seen = values(observation)
        assert (seen["plugin_status"], seen["free"], observation.note) == (status, 0.42, note)
        assert "exit_code" not in seen
    warning, critical = PROBE.defaults[1].warning, PROBE.defaults[1].critical
    assert warning is not None
    assert critical is not None
    assert [(warning.holds(n), critical.holds(n)) for n in (0, 1, 2)] == [(False, False), (True, False), (False, True)]


async def test_a_plugin_that_does_not_know_is_unknown(look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"^could not open the file$") as caught:
        await look(**sh("echo could not open the file; exit 3", format="plugin"))
    assert caught.value.kind == "plugin"
    with pytest.raises(ProbeError, match=r"127 is none of a plugin's \(0 to 3\): \(the plugin said nothing\)"):
        await look(**sh("exit 127", format="plugin"))
