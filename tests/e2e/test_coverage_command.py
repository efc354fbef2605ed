"""`healthd coverage` as people and programs use it: output, exit codes, and the catalogue of this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pure.catalogue_samples import write
from tests.pure.test_truth_syncwatch import NEEDED

PROJECT = Path(__file__).parents[2]

SHOP: dict[str, str | bytes] = {
    "system.yaml": """
        system: {name: shop}
        cadences: {morning: {on: daily, at: "09:00"}}
        checks:
          - name: web
            cadence: morning
            probe: {type: http, url: "http://127.0.0.1:1/"}
            thresholds: {name: speed, measure: latency, acceptable: "< 500ms"}
            covers: [guide/api]
    """,
    "runbook.yaml": """
        runbook:
          - document: guide
            title: Shop guide
            items:
              - id: api
                heading: Daily
                title: The API answers
                fate: check
                cadence: morning
                limits: {row: speed, acceptable: "< 0.5s"}
    """,
}


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HEALTHD_", "SYNCWATCH_"))}
    return subprocess.run(
        [sys.executable, "-m", "healthd", "coverage", *arguments], cwd=folder, env={**env, **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with `checks/shop` below it."""
    write(tmp_path / "checks" / "shop", SHOP)
    return tmp_path


def change(shop: Path, file: str, old: str, new: str) -> None:
    path = shop / "checks" / "shop" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_everything_is_covered(shop: Path) -> None:
    done = run(shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert "guide: Daily" in done.stdout
    assert "check shop/web" in done.stdout
    assert "1 documented items: 1 covered" in done.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("system.yaml", "covers: [guide/api]", "labels: {a: b}", "nothing covers it; a check should"),
        ("system.yaml", "covers: [guide/api]", "covers: [guide/api, guide/apy]", "did you mean 'guide/api'?"),
        ("system.yaml", '"< 500ms"', '"< 600ms"', "documented as '< 0.5s', and configured as '< 600ms'"),
        ("runbook.yaml", '"< 0.5s"', '"<= 0.5s"', "documented as '<= 0.5s'"),
        ("system.yaml", "cadence: morning", "every: 5m", "documented for morning"),
        ("runbook.yaml", "fate: check", "fate: report", "a report should cover it, not only check shop/web"),
    ],
)
def test_exit_code_1_says_what_is_not_as_documented(shop: Path, file: str, old: str, new: str, said: str) -> None:
    change(shop, file, old, new)
    done = run(shop, "--uncovered")
    assert done.returncode == 1
    assert said in " ".join((done.stdout + done.stderr).split())


def test_only_what_is_uncovered(shop: Path) -> None:
    done = run(shop, "--uncovered")
    assert (done.returncode, "guide: Daily" in done.stdout, "1 covered" in done.stdout) == (0, False, True)


def test_formats(shop: Path) -> None:
    told = json.loads(run(shop, "--format", "json").stdout)
    (item,) = told["documents"][0]["items"]
    assert (told["complete"], item["id"], item["limits"][0]["acceptable"]) == (True, "guide/api", "< 0.5s")
    assert run(shop, "--format", "md").stdout.startswith("# Coverage\n")
    assert run(shop, "--format", "html").stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("shpo",), "did you mean shop?"), (("--format", "pdf"), "'pdf' is not one of"), (("--checks", "x"), "x")],
)
def test_wrong_usage_is_code_3(shop: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(shop, *arguments)
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_system_without_an_index_says_so(shop: Path) -> None:
    (shop / "checks" / "shop" / "runbook.yaml").unlink()
    change(shop, "system.yaml", "covers: [guide/api]", "labels: {a: b}")
    done = run(shop)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "shop: no runbook section")


def test_all_that_syncwatch_documents_is_covered() -> None:
    done = run(PROJECT, "--checks", "checks/syncwatch", "--format", "json", **NEEDED)
    told = json.loads(done.stdout)
    wrong = [i["id"] for d in told["documents"] for i in d["items"] if i["state"] in ("differs", "uncovered")]
    assert (wrong, told["dangling"], done.returncode) == ([], [], 0)
    assert {d["document"] for d in told["documents"]} == {"syncwatch-operations", "syncwatch-incidents"}
