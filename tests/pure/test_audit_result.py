"""What continuous integration says of known vulnerabilities: found, none, and not asked are three things."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit_result.py"
FINE = {"name": "jinja2", "version": "3.1.6", "vulns": []}
SKIPPED = {"name": "idna", "skip_reason": "Dependency not found on PyPI and could not be audited: idna (3.20)"}
FLAW = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["3.1.7"]}
BAD = {**FINE, "vulns": [FLAW]}


def said(tmp_path: Path, dependencies: list[dict[str, Any]] | None, log: str = "") -> tuple[int, str]:
    report = tmp_path / "audit.json"
    if dependencies is not None:
        report.write_text(json.dumps({"dependencies": dependencies, "fixes": []}))
    (tmp_path / "audit.log").write_text(log)
    done = subprocess.run(
        [sys.executable, SCRIPT, report, tmp_path / "audit.log"], capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("dependencies", "code", "expected"),
    [
        ([FINE], 0, "0 known vulnerabilities in 1 packages"),
        ([FINE, SKIPPED], 0, "0 known vulnerabilities in 1 packages; 1 could not be looked at, the first: Dependency"),
        ([BAD, SKIPPED], 1, "jinja2 3.1.6: PYSEC-2026-1, CVE-2026-1: fixed in 3.1.7"),
        ([SKIPPED], 0, "PyPI could not be asked, none of 1 packages was looked at"),
        ([], 1, "none of 0 packages"),
    ],
)
def test_reports(tmp_path: Path, dependencies: list[dict[str, Any]], code: int, expected: str) -> None:
    found = said(tmp_path, dependencies)
    assert found[0] == code
    assert expected in found[1]


@pytest.mark.parametrize(
    ("log", "code", "expected"),
    [
        ("Traceback\nrequests.exceptions.ConnectionError: no route", 0, "PyPI could not be asked, nothing was looked"),
        ("pip_audit._service.interface.ConnectionError: Could not connect to PyPI's", 0, "PyPI could not be asked"),
        ("ERROR:pip_audit._cli: requirement x has no hash", 1, "pip-audit failed: ERROR:pip_audit._cli: requirement x"),
        ("", 1, "it said nothing"),
    ],
)
def test_without_a_report(tmp_path: Path, log: str, code: int, expected: str) -> None:
    found = said(tmp_path, None, log)
    assert found[0] == code
    assert expected in found[1]
