"""The audit probe on reports as the tools write them, stored and from programs that are run."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from tests.component.looking import Looker, evidence, looking, values

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def via(number: int, severity: str, ghsa: str) -> dict[str, Any]:
    return {
        "source": number, "name": "lodash", "dependency": "lodash", "title": "Command Injection in lodash",
        "url": f"https://github.com/advisories/{ghsa}", "severity": severity, "cwe": ["CWE-77"], "range": "<4.17.21",
    }  # fmt: skip


NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "lodash": {
            "name": "lodash", "severity": "high", "isDirect": True, "effects": ["app-kit"], "range": "<4.17.21",
            "via": [via(1094499, "high", "GHSA-35jh-r3h4-6jhm"), via(7, "low", "GHSA-xxxx-0000-0001")],
            "nodes": ["node_modules/lodash"], "fixAvailable": {"name": "lodash", "version": "4.17.21"},
        },
        "app-kit": {
            "name": "app-kit", "severity": "critical", "isDirect": False, "via": ["lodash", "app-kit"], "effects": [],
            "range": "*", "nodes": [], "fixAvailable": False,
        },
        "ms": {
            "name": "ms", "severity": "moderate", "isDirect": False, "via": [via(8, "moderate", "GHSA-ms")],
            "effects": [], "range": "<2", "nodes": [], "fixAvailable": True,
        },
    },
    "metadata": {
        "vulnerabilities": {"info": 0, "low": 0, "moderate": 1, "high": 1, "critical": 1, "total": 3},
        "dependencies": {"prod": 300, "dev": 12, "optional": 0, "peer": 0, "peerOptional": 0, "total": 311},
    },
}  # fmt: skip
NPM_CLEAN = {
    "auditReportVersion": 2,
    "vulnerabilities": {},
    "metadata": {"vulnerabilities": {"total": 0}, "dependencies": {"prod": 3, "total": 2}},
}
NPM_6 = {
    "actions": [],
    "advisories": {
        "1": {
            "id": 1,
            "module_name": "minimist",
            "severity": "low",
            "title": "Prototype Pollution",
            "cves": ["CVE-2020-7598"],
            "vulnerable_versions": "<0.2.1",
            "url": "https://github.com/advisories/GHSA-vh95-rmgr-6w4m",
        }
    },
    "metadata": {"vulnerabilities": {"low": 1}, "dependencies": 20, "totalDependencies": 25},
}
NPM_OUTDATED = {
    "dep": {"wanted": "1.0.0", "latest": "5.0.1", "dependent": "shop"},
    "lodash": {"current": "4.17.15", "wanted": "4.17.21", "latest": "4.17.21", "dependent": "shop", "location": "x"},
}
PIP_AUDIT = {
    "dependencies": [
        {
            "name": "flask",
            "version": "0.5",
            "vulns": [
                {
                    "id": "PYSEC-2019-179",
                    "fix_versions": ["1.0"],
                    "aliases": ["CVE-2019-1010083", "GHSA-5wv5-4vpf-pj6m"],
                    "description": "Unexpected memory usage.\nMore.",
                }
            ],
        },
        {"name": "requests", "version": "2.32.0", "vulns": []},
        {"name": "private", "skip_reason": "Dependency not found on PyPI and could not be audited: private (1.0)"},
    ],
    "fixes": [],
}
PIP_OUTDATED = [{"name": "django", "version": "4.2.1", "latest_version": "5.1", "latest_filetype": "wheel"}]
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "shop/backend:latest",
    "ArtifactType": "container_image",
    "Results": [
        {
            "Target": "shop/backend:latest (debian 12.5)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2023-0001",
                    "PkgName": "libssl3",
                    "InstalledVersion": "3.0.11",
                    "Severity": "HIGH",
                    "FixedVersion": "3.0.13",
                    "Title": "openssl: something",
                },
                {
                    "VulnerabilityID": "CVE-2023-0002",
                    "PkgName": "zlib1g",
                    "InstalledVersion": "1.2.13",
                    "Severity": "UNKNOWN",
                },
            ],
        },
        {"Target": "app/package-lock.json", "Class": "lang-pkgs", "Type": "npm"},
    ],
}
SNYK = {
    "ok": False,
    "dependencyCount": 120,
    "packageManager": "npm",
    "vulnerabilities": [
        {"id": "SNYK-JS-LODASH-1040724", "title": "Command Injection", "severity": "high", "packageName": "lodash",
         "version": "4.17.15", "from": ["a", path], "identifiers": {"CVE": ["CVE-2021-23337"]}, "fixedIn": ["4.17.21"]}
        for path in ("one way", "another")
    ],
}  # fmt: skip


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["audit"]) as looker:
        looker.now = NOW
        yield looker


def store(path: Path, document: Any, age: timedelta = timedelta(hours=1)) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    os.utime(path, ((NOW - age).timestamp(),) * 2)
    return str(path)


COUNTS: list[tuple[str, Any, dict[str, float]]] = [
    ("npm", NPM, {"vulnerabilities": 3, "critical": 1, "high": 1, "medium": 1, "looked_at": 311}),
    ("npm", NPM_CLEAN, {"vulnerabilities": 0, "critical": 0, "looked_at": 2}),
    ("npm", NPM_6, {"vulnerabilities": 1, "low": 1, "looked_at": 25}),
    ("npm-outdated", NPM_OUTDATED, {"outdated": 2, "outdated_major": 1}),
    ("npm-outdated", {}, {"outdated": 0, "outdated_major": 0}),
    ("pip-audit", PIP_AUDIT, {"vulnerabilities": 1, "unknown": 1, "looked_at": 2, "skipped": 1}),
    ("pip-outdated", PIP_OUTDATED, {"outdated": 1, "outdated_major": 1}),
    ("trivy", TRIVY, {"vulnerabilities": 2, "high": 1, "unknown": 1, "looked_at": 2}),
    ("snyk", SNYK, {"vulnerabilities": 1, "high": 1, "looked_at": 120}),
    ("snyk", [SNYK, {"ok": True, "dependencyCount": 5, "vulnerabilities": []}], {"high": 1, "looked_at": 125}),
]


@pytest.mark.parametrize(("tool", "document", "expected"), COUNTS)
async def test_counts(look: Looker, tmp_path: Path, tool: str, document: Any, expected: dict[str, float]) -> None:
    seen = await look(tool=tool, report=store(tmp_path / "report.json", document))
    measured = values(seen)
    assert {name: measured[name] for name in expected} == expected
    assert measured["report_age"] == 3600


async def test_what_was_found_is_named(look: Looker, tmp_path: Path) -> None:
    seen = await look(tool="npm", report=store(tmp_path / "r.json", NPM))
    assert seen.note == "1 critical, 1 high, 1 medium: app-kit, lodash, ms"
    assert evidence(seen, "vulnerabilities").splitlines()[1] == (
        "high lodash <4.17.21 GHSA-35jh-r3h4-6jhm GHSA-xxxx-0000-0001: Command Injection in lodash"
        " (fixed in lodash 4.17.21)"
    )
    seen = await look(tool="pip-audit", report=store(tmp_path / "r.json", PIP_AUDIT))
    assert seen.note == "1 unknown: flask; 1 packages were not looked at"
    assert "CVE-2019-1010083: Unexpected memory usage. (fixed in 1.0)" in evidence(seen, "vulnerabilities")
    assert "private: Dependency not found" in evidence(seen, "not looked at")
    seen = await look(tool="npm-outdated", report=store(tmp_path / "r.json", NPM_OUTDATED))
    assert seen.note == "2 outdated, 1 by a major version"
    assert evidence(seen, "outdated").splitlines()[0] == "dep 1.0.0, latest 5.0.1"


async def test_accepted_vulnerabilities_do_not_count(look: Looker, tmp_path: Path) -> None:
    ask: dict[str, Any] = {"tool": "npm", "report": store(tmp_path / "r.json", NPM)}
    one = values(await look(**ask, ignore="ghsa-35jh-r3h4-6jhm"))
    assert (one["high"], one["ignored"]) == (1, 0)  # it has another flaw
    both = values(await look(**ask, ignore=["GHSA-35jh-r3h4-6jhm", "GHSA-xxxx-0000-0001"]))
    assert (both["critical"], both["high"], both["medium"], both["ignored"]) == (0, 0, 1, 2)
    snyk = await look(tool="snyk", report=store(tmp_path / "s.json", SNYK), ignore="CVE-2021-23337")
    assert (values(snyk)["vulnerabilities"], values(snyk)["ignored"]) == (0, 1)


# -- nothing found is not nothing looked at


@pytest.mark.parametrize(
    ("tool", "document", "words"),
    [
        (
            "pip-audit",
            {"dependencies": [{"name": "a", "skip_reason": "not on PyPI"}], "fixes": []},
            "1 were skipped, such as a: not on PyPI",
        ),
        ("pip-audit", {"dependencies": [], "fixes": []}, "nothing was looked at"),
        ("trivy", {"SchemaVersion": 2, "ArtifactName": "scratch"}, "nothing was looked at"),
        ("npm", {**NPM_CLEAN, "metadata": {"dependencies": {"prod": 1, "total": 0}}}, "nothing was looked at"),
        ("snyk", {"ok": True, "dependencyCount": 0, "vulnerabilities": []}, "nothing was looked at"),
    ],
)
async def test_nothing_looked_at(look: Looker, tmp_path: Path, tool: str, document: Any, words: str) -> None:
    with pytest.raises(ProbeError, match=words) as failure:
        await look(tool=tool, report=store(tmp_path / "r.json", document))
    assert failure.value.kind == "missing"


@pytest.mark.parametrize(
    ("tool", "document", "kind", "words"),
    [
        (
            "npm",
            {"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile."}},
            "error",
            "npm could not look: This command requires",
        ),
        (
            "npm",
            {"message": "request to http://127.0.0.1:1/ failed", "error": {"summary": "", "detail": ""}},
            "error",
            "request to",
        ),
        (
            "snyk",
            {"ok": False, "error": "Missing node_modules folder", "path": "/app"},
            "error",
            "Missing node_modules",
        ),
        ("npm", NPM_OUTDATED, "protocol", "not a report of npm"),
        ("npm-outdated", NPM, "protocol", "not a report"),
        ("trivy", {}, "protocol", "not a report of trivy"),
        ("trivy", [], "protocol", "not a report of trivy"),
        ("pip-audit", "42", "protocol", "not a report of pip-audit"),
        ("pip-outdated", {"a": 1}, "protocol", "not a report"),
        ("snyk", "No vulnerabilities", "protocol", "not JSON"),
        ("npm", "", "protocol", "not JSON"),
    ],
)
async def test_reports_that_are_none(
    look: Looker, tmp_path: Path, tool: str, document: Any, kind: str, words: str
) -> None:
    with pytest.raises(ProbeError, match=words) as failure:
        await look(tool=tool, report=store(tmp_path / "r.json", document))
    assert failure.value.kind == kind


# -- where reports come from


async def test_the_newest_report_counts(look: Looker, tmp_path: Path) -> None:
    store(tmp_path / "audit-1.json", NPM, timedelta(days=8))
    store(tmp_path / "audit-2.json", NPM_CLEAN, timedelta(days=1))
    seen = await look(tool="npm", report=f"{tmp_path}/audit-*.json")
    assert (values(seen)["vulnerabilities"], values(seen)["report_age"]) == (0, 86400)


async def test_no_report_is_no_good_news(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="nothing has been looked at") as failure:
        await look(tool="npm", report=f"{tmp_path}/*.json")
    assert failure.value.kind == "missing"
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(ProbeError, match="more than a report may be"):
        await look(tool="npm", report=f"{tmp_path}/*.json")


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.probe("audit")
@pytest.mark.probe_failure("audit")
async def test_a_program_is_run(look: Looker, tmp_path: Path) -> None:
    report = store(tmp_path / "report.json", NPM)
    npm = program(tmp_path / "npm", f'test "$1" = audit && echo warn >&2 && cat {report}; exit 1')
    ask: dict[str, Any] = {"tool": "npm", "command": {"argv": [npm, "audit"], "cwd": str(tmp_path)}}
    with pytest.raises(ProbeError, match="HEALTHD_ALLOWED_COMMANDS") as failure:
        await look(**ask)
    assert failure.value.kind == "forbidden"
    look.limits = ProbeLimits(allowed_commands=(npm,))
    seen = await look(**ask)
    assert values(seen)["vulnerabilities"] == 3
    assert "report_age" not in values(seen)


async def test_a_program_that_says_something_else(look: Looker, tmp_path: Path) -> None:
    broken = program(tmp_path / "trivy", 'echo "cannot pull with $TOKEN" >&2; exit 5')
    look.limits = ProbeLimits(allowed_commands=(broken,))
    command = {"argv": [broken], "env": {"TOKEN": "secret-value"}}
    with pytest.raises(ProbeError) as failure:
        await look(tool="trivy", command=command)
    assert failure.value.reason == f"{broken}: not JSON, so no report; exit code 5: cannot pull with <redacted>"
    endless = program(tmp_path / "endless", "cat /dev/zero")
    look.limits = replace(look.limits, allowed_commands=(endless,))
    with pytest.raises(ProbeError) as failure:
        await look(tool="trivy", command={"argv": [endless]})
    assert failure.value.kind in ("limit", "timeout")


@pytest.mark.parametrize(
    "params",
    [{"tool": "npm"}, {"tool": "npm", "report": "/a", "command": {"argv": ["npm"]}}, {"tool": "yarn", "report": "/a"},
     {"tool": "npm", "report": "a.json"}, {"tool": "npm-outdated", "report": "/a", "ignore": "CVE-1"},
     {"tool": "npm", "command": {"argv": "npm audit"}}],
)  # fmt: skip
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["audit"].Params(**params)
