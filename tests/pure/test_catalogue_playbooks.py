"""Steps that healthd looks at by itself: read like checks, refused with their place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from healthd.model.catalogue import Playbook
from tests.pure.catalogue_samples import catalogue, lines

PLAYBOOK = """
    defaults:
      timeout: 7s
      probe: {web: {url: "http://usual.example", port: 8080}}
    thresholds:
      slow: {measure: latency, critical: "> 1s"}
    checks:
      - {name: front, every: 60s, probe: {type: web}, playbook: down}
    playbooks:
      down:
        response: 5m
        diagnostics:
          - look at it
          - {title: The site, command: curl, probe: {type: web, port: 81}, thresholds: slow, finding: "slow: {value}"}
          - {check: front, finding: it is down, suggest: restart}
          - {title: Off, enabled: false, probe: {type: web}}
          - {title: Sizes, timeout: 2s, probe: {type: web}, thresholds: [slow, {measure: size, warning: "> 1kB"}]}
"""


def down(folder: Path, text: str = PLAYBOOK) -> Playbook:
    return catalogue(folder, text).systems["demo"].playbooks["down"]


def test_a_step_is_read_as_a_check_is(tmp_path: Path) -> None:
    playbook = down(tmp_path)
    plain, site, check, off, sizes = playbook.diagnostics
    assert playbook.response == timedelta(minutes=5)
    assert [step.is_run for step in playbook.diagnostics] == [False, True, True, False, True]
    assert site.look is not None
    assert (site.look.probe.params.url, site.look.probe.params.port) == ("http://usual.example", 81)
    assert [row.key for row in site.look.thresholds] == ["up", "slow"]
    assert (site.rows, site.finding, site.look.timeout) == (("slow",), "slow: {value}", timedelta(seconds=7))
    assert (check.title, check.check, check.suggest, check.rows) == ("front", "demo/front", "restart", ())
    assert sizes.look is not None
    assert sizes.look.timeout == timedelta(seconds=2)
    assert sizes.look.fingerprint != site.look.fingerprint
    assert not plain.is_run
    assert not off.is_run


def test_a_look_is_no_check(tmp_path: Path) -> None:
    assert set(catalogue(tmp_path, PLAYBOOK).checks) == {"demo/front"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{title: x, probe: {type: wep}}", "step 'x': unknown probe type 'wep'; did you mean 'web'?"),
        ("{title: x, probe: {type: web, prot: 1}}", "step 'x': unknown key 'prot'; did you mean 'port'?"),
        ("{title: x, probe: {type: web}, thresholds: slwo}", "unknown threshold row 'slwo'; did you mean 'slow'?"),
        ("{title: x, probe: {type: web}, thresholds: {measure: no, critical: '> 1'}}", "has no measure 'no'"),
        ("{title: x, probe: {type: web}, finding: '{vlaue}'}", "nothing is known as {vlaue}; did you mean 'value'?"),
        ("{title: x, probe: {type: web}, timeout: 31s}", "a look of an incident's may take 30s"),
        ("{check: frnot}", "step 'frnot': unknown check 'frnot'; did you mean 'front'?"),
        ("{check: front, probe: {type: web}}", "'probe' and 'check' exclude each other"),
        ("{check: front, thresholds: slow}", "'thresholds' belong to a probe"),
        ("{title: x, finding: y}", "'finding' belongs to a step that is looked at"),
        ("{probe: {type: web}}", "an empty step; expected a title or a command"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, step: str, expected: str) -> None:
    text = PLAYBOOK + f"          - {step}\n"
    (problem,) = lines(tmp_path, text)
    assert expected in problem
    assert f":{text.count(chr(10))}: " in problem


def test_remediation_is_for_people(tmp_path: Path) -> None:
    (problem,) = lines(tmp_path, PLAYBOOK + "        remediation: [{title: x, probe: {type: web}}]\n")
    assert "unknown key 'probe'" in problem


def test_levels_of_escalation_name_channels_there_are(tmp_path: Path) -> None:
    chain = PLAYBOOK + "    escalation: {l1: {channels: pagreduty}}\n"
    (problem,) = lines(tmp_path, chain)
    assert "escalation: 'l1': unknown channel 'pagreduty'; did you mean 'pagerduty'?" in problem


def test_levels_that_can_hardly_be_meant_are_warned_about(tmp_path: Path) -> None:
    chain = (
        "    contacts: {second-level: {address: x}}\n"
        "    escalation:\n"
        "      l1: {who: somebody, after: {critical: 1h}}\n"
        "      l2: {who: secondlevel, after: {critical: 30m, warning: 1h}}\n"
        "      l3: {who: second-level, after: {critical: 1h, warning: 2h}}\n"
    )
    found = catalogue(tmp_path, PLAYBOOK + chain)
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        "escalation: 'l2': no contact 'secondlevel'; did you mean 'second-level'?",
        "escalation: 'l2': 30m for critical is sooner than 1h of 'l1', which it waits for",
    ]
