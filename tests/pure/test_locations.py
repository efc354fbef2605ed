"""From where a check is looked at: as it is written, as a worker reads it, and without what workers need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthd.catalogue import CatalogueError, Looks, load, load_looks
from healthd.cli import cli
from healthd.model.catalogue import Catalogue
from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes import PROBES
from healthd.settings import Settings
from healthd.workers.letters import Answer
from healthd.workers.terms import locations

CATALOGUE = """
system: {name: shop, timezone: Europe/Berlin}
defaults: {location: eu-west}
checks:
  - {name: web, every: 1m, probe: {type: http, url: "${SHOP_URL}/"}, playbook: down}
  - {name: far, every: 1m, location: ap-south, probe: {type: http, url: "${ASIA_URL}/"}}
  - {name: here, every: 1m, location: daemon, probe: {type: http, url: "${HERE_URL}/"}}
  - {name: off, every: 1m, location: nowhere, enabled: false, probe: {type: http, url: "http://x"}}
playbooks:
  down:
    diagnostics:
      - {title: Does it answer at all, probe: {type: tcp, host: shop.example, port: 443}}
      - {title: By hand}
"""
ALL = {"SHOP_URL": "http://a", "ASIA_URL": "http://b", "HERE_URL": "http://c"}


def read(folder: Path, text: str, environment: Mapping[str, str] = ALL) -> Catalogue:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop/system.yaml").write_text(text)
    return load([folder], probes=PROBES, channels={}, settings=Settings(), environment=environment)


def looks(folder: Path, text: str, location: str, environment: Mapping[str, str]) -> Looks:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop/system.yaml").write_text(text)
    return load_looks([folder], location, probes=PROBES, settings=Settings(), environment=environment)


def test_a_location_is_the_checks_own_or_its_systems(tmp_path: Path) -> None:
    found = read(tmp_path, CATALOGUE)
    assert {check.name: check.location for check in found.checks.values()} == {
        "web": "eu-west",
        "far": "ap-south",
        "here": "",
        "off": "nowhere",
    }
    step, by_hand = found.systems["shop"].playbooks["down"].diagnostics
    assert step.look is not None
    assert step.look.location == "eu-west"
    assert by_hand.look is None
    assert locations(found) == {"eu-west", "ap-south"}  # what is switched off is looked at by nobody


def test_a_worker_reads_what_is_looked_at_from_there_and_needs_no_other_variables(tmp_path: Path) -> None:
    found = looks(tmp_path, CATALOGUE, "eu-west", {"SHOP_URL": "http://elsewhere"})
    assert set(found.checks) == {"shop/web", "shop/playbooks/down/1"}
    assert found.zones["shop"].key == "Europe/Berlin"
    whole = read(tmp_path, CATALOGUE)
    assert found.checks["shop/web"].probe.params != whole.checks["shop/web"].probe.params
    assert found.checks["shop/web"].definition == whole.checks["shop/web"].definition  # as it is written
    assert set(looks(tmp_path, CATALOGUE, "ap-south", ALL).checks) == {"shop/far"}
    with pytest.raises(CatalogueError, match="SHOP_URL"):
        looks(tmp_path, CATALOGUE, "eu-west", {})


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (CATALOGUE.replace('"${SHOP_URL}/"', '"${SHOP_URL}/x"'), False),
        (CATALOGUE.replace('url: "${SHOP_URL}/"', 'url: "${SHOP_URL}/", method: HEAD'), False),
        (CATALOGUE.replace("defaults: {", "defaults: {probe: {http: {method: HEAD}}, "), False),
        (CATALOGUE.replace('url: "${SHOP_URL}/"', "url: '${SHOP_URL}/'"), True),
        (CATALOGUE.replace("name: web, every: 1m", "name: web, every: 2m, title: Another"), True),
    ],
)
def test_a_definition_is_what_of_a_probe_is_written(tmp_path: Path, changed: str, same: bool) -> None:
    before, after = read(tmp_path, CATALOGUE), read(tmp_path, changed)
    assert (before.checks["shop/web"].definition == after.checks["shop/web"].definition) is same


def test_state_begins_anew_where_it_is_looked_at_from_elsewhere(tmp_path: Path) -> None:
    before, after = read(tmp_path, CATALOGUE), read(tmp_path, CATALOGUE.replace("eu-west", "eu-east"))
    assert before.checks["shop/web"].fingerprint != after.checks["shop/web"].fingerprint
    assert before.checks["shop/here"].fingerprint == after.checks["shop/here"].fingerprint


@pytest.mark.parametrize(
    ("written", "hint"),
    [("EU_West", "did you mean 'eu-west'?"), ("eu west", "eu-west"), ("a" * 33, "at most 32"), ("-x", "'x'")],
)
def test_what_is_no_location_is_refused(tmp_path: Path, written: str, hint: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        read(tmp_path, CATALOGUE.replace("ap-south", f'"{written}"'))
    assert hint in str(refused.value.problems[0])
    assert "system.yaml:6" in str(refused.value.problems[0])


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            Observation(
                (Measurement("latency", 0.25, Unit.SECONDS), Measurement("state", "a\x00\ud800b", None, "s")),
                (Evidence("Body", "ü\n"),),
                "note",
            ),
            None,
            attempts=2,
        ),
        Answer(Observation((Measurement("size", float("inf")),)), None),
    ],
)
def test_an_answer_arrives_as_it_was_sent(answer: Answer) -> None:
    assert Answer.load(answer.dump()) == answer


def test_an_error_arrives_and_what_cannot_be_read_is_one() -> None:
    error = ProbeError("connection refused", "refused", (Evidence("a", "b"),))
    arrived = Answer.load(Answer(None, error).dump()).error
    assert arrived is not None
    assert (arrived.reason, arrived.kind, arrived.evidence) == (error.reason, error.kind, error.evidence)
    for text in ("", "[]", "{}", '{"duration": "x", "attempts": 1}'):
        unread = Answer.load(text)
        assert unread.error is not None
        assert unread.error.kind == "worker"


WITHOUT = """
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.startswith(("procrastinate", "psycopg_pool")) else super().find_spec(name, path, target)
sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import healthd.app
from click.testing import CliRunner
from healthd.cli import cli
for words in (["worker", "--location", "eu-west"], ["validate", "--strict"]):
    done = CliRunner().invoke(cli, words)
    print(done.exit_code, done.output)
"""
NOTE = "note: checks looked at from ap-south, eu-west would be UNKNOWN here: workers need"


def written(folder: Path, **settings: str) -> dict[str, str]:
    """The catalogue in files, and the environment of who uses it."""
    (folder / "shop").mkdir()
    (folder / "shop/system.yaml").write_text(CATALOGUE)
    return {**ALL, "HEALTHD_CHECKS": str(folder), **settings}


def test_nothing_of_it_is_needed_until_it_is_used_and_then_it_is_said_what(tmp_path: Path) -> None:
    environment = written(tmp_path, HEALTHD_DATABASE_URL="postgresql://a:b@127.0.0.1:1/c", PATH="/usr/bin:/bin")
    argv = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(argv, env=environment, cwd=Path.cwd(), capture_output=True, text=True, check=True)
    missing = "workers need Procrastinate: pip install 'healthd[workers]'"
    assert done.stdout.startswith(f"3 {missing}\n"), done.stdout
    assert f"\n0 note: checks looked at from ap-south, eu-west would be UNKNOWN here: {missing}" in done.stdout


def test_it_is_said_that_sqlite_will_not_do(tmp_path: Path) -> None:
    environment = written(tmp_path, HEALTHD_DATABASE_URL="sqlite:///x.db")
    refused = CliRunner().invoke(cli, ["worker", "--location", "eu-west"], env=environment)
    assert refused.exit_code == 3
    assert "set it to postgresql://user:password@host/name" in refused.output
    valid = CliRunner().invoke(cli, ["validate", "--strict"], env=environment)
    assert valid.exit_code == 0
    assert f"{NOTE} a PostgreSQL" in valid.output


def test_a_location_is_listed_and_a_wrong_one_refused(tmp_path: Path) -> None:
    listed = CliRunner().invoke(cli, ["list", "--format", "json"], env=written(tmp_path))
    assert {entry["location"] for entry in json.loads(listed.output)} == {"eu-west", "ap-south", "", "nowhere"}
    for wrong in ("EU", "daemon", ""):
        refused = CliRunner().invoke(cli, ["worker", "--location", wrong])
        assert refused.exit_code == 3
        assert "--location: " in refused.output
