"""Reports of audit tools, read into one form. Pure.

Read are the JSON forms of `npm audit` (6 and later), `npm outdated`, `pip-audit`, `pip list --outdated`, `trivy` and
`snyk test`. Their readers raise KeyError, TypeError, ValueError or AttributeError for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("critical", "high", "medium", "low", "info", "unknown")
_SPELLINGS = {"moderate": "medium", "negligible": "info", "informational": "info", "none": "info"}


class ToolFailedError(Exception):
    """The report says that the tool could not look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A package with a vulnerability; npm lists one with several once. `flaws` are the names that each goes by."""

    package: str
    version: str
    severity: str
    flaws: tuple[frozenset[str], ...]
    title: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A package of which there is a newer version. `major`: with a greater first number."""

    package: str
    version: str
    latest: str
    major: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a tool saw. `looked_at` is how many packages (trivy: targets); None for what the tool does not tell."""

    findings: tuple[Finding, ...] = ()
    outdated: tuple[Outdated, ...] | None = None
    looked_at: int | None = None
    skipped: tuple[str, ...] | None = None


def severity(word: Any) -> str:
    """One of SEVERITIES, however the tool spells it."""
    text = str(word or "").strip().lower()
    text = _SPELLINGS.get(text, text)
    return text if text in SEVERITIES else "unknown"


def _failed(document: Any) -> None:
    """Raises ToolFailedError for npm's and snyk's way of saying so."""
    error = document.get("error") if isinstance(document, Mapping) else None
    if isinstance(error, Mapping):
        said = error.get("summary") or document.get("message") or error.get("detail") or error.get("code")
        raise ToolFailedError(str(said or "no reason given"))
    if error:
        raise ToolFailedError(str(error))


def read_npm_audit(document: Any) -> Report:
    """`npm audit --json`: one finding for each package that npm counts."""
    _failed(document)
    packages = document["metadata"]["dependencies"]
    looked_at = packages["total"] if isinstance(packages, Mapping) else document["metadata"]["totalDependencies"]
    if "vulnerabilities" in document:
        findings = [_npm_finding(name, document["vulnerabilities"]) for name in document["vulnerabilities"]]
    else:  # up to npm 6
        findings = [_npm_advisory(advisory) for advisory in document["advisories"].values()]
    return Report(tuple(findings), looked_at=int(looked_at))


def _npm_finding(name: str, every: Mapping[str, Any]) -> Finding:
    item = every[name]
    advisories = list(_advisories(name, every, set()))
    flaws = tuple(frozenset(_npm_ids(advisory)) for advisory in advisories)
    fix = item.get("fixAvailable")
    fixed = f"{fix['name']} {fix['version']}" if isinstance(fix, Mapping) else "npm audit fix" if fix else ""
    title = str(advisories[0].get("title", "")) if advisories else ""
    return Finding(name, str(item.get("range", "")), severity(item["severity"]), flaws, title, fixed)


def _advisories(name: str, every: Mapping[str, Any], seen: set[str]) -> Iterator[Mapping[str, Any]]:
    """Why a package is in the list: its own advisories, and those of the packages it gets them from."""
    if name in seen or name not in every:
        return
    seen.add(name)
    for cause in every[name]["via"]:
        if isinstance(cause, str):
            yield from _advisories(cause, every, seen)
        else:
            yield cause


def _npm_ids(advisory: Mapping[str, Any]) -> Iterator[str]:
    if url := advisory.get("url"):
        yield str(url).rstrip("/").rpartition("/")[2]
    yield from (str(advisory[key]) for key in ("source", "id", "github_advisory_id") if advisory.get(key))
    yield from map(str, advisory.get("cves") or ())


def _npm_advisory(item: Mapping[str, Any]) -> Finding:
    flaws = (frozenset(_npm_ids(item)),)
    versions = str(item.get("vulnerable_versions", ""))
    return Finding(item["module_name"], versions, severity(item["severity"]), flaws, str(item.get("title", "")))


def read_npm_outdated(document: Any) -> Report:
    """`npm outdated --json`: nothing outdated is an empty object."""
    _failed(document)
    found = []
    for name, item in document.items():
        for one in item if isinstance(item, list) else [item]:  # a list in workspaces
            found.append(_outdated(name, str(one.get("current") or one["wanted"]), str(one["latest"])))
    return Report(outdated=tuple(found))


def read_pip_outdated(document: Any) -> Report:
    """`pip list --outdated --format json`."""
    found = [_outdated(item["name"], str(item["version"]), str(item["latest_version"])) for item in _list(document)]
    return Report(outdated=tuple(found))


def _outdated(name: str, version: str, latest: str) -> Outdated:
    return Outdated(name, version, latest, version.partition(".")[0] != latest.partition(".")[0])


def read_pip_audit(document: Any) -> Report:
    """`pip-audit --format json`, which knows no severities. Without --strict it skips what it cannot look at."""
    packages = document["dependencies"] if isinstance(document, Mapping) else _list(document)
    skipped = [f"{item['name']}: {item['skip_reason']}" for item in packages if "skip_reason" in item]
    findings = [
        Finding(
            item["name"],
            str(item.get("version", "")),
            severity(flaw.get("severity")),
            (frozenset([flaw["id"], *(flaw.get("aliases") or ())]),),
            str(flaw.get("description") or "").partition("\n")[0],
            ", ".join(flaw.get("fix_versions") or ()),
        )
        for item in packages
        for flaw in item.get("vulns") or ()
    ]
    return Report(tuple(findings), looked_at=len(packages) - len(skipped), skipped=tuple(skipped))


def read_trivy(document: Any) -> Report:
    """`trivy image|fs|rootfs --format json`. Without results it knew nothing of what it was shown."""
    results = document.get("Results") or []
    if not results and "SchemaVersion" not in document:
        raise ValueError("not a report of trivy")
    findings = [
        Finding(
            flaw["PkgName"],
            str(flaw.get("InstalledVersion", "")),
            severity(flaw.get("Severity")),
            (frozenset([flaw["VulnerabilityID"], *(flaw.get("VendorIDs") or ())]),),
            str(flaw.get("Title") or ""),
            str(flaw.get("FixedVersion") or ""),
        )
        for result in results
        for flaw in result.get("Vulnerabilities") or ()
    ]
    return Report(tuple(findings), looked_at=len(results))


def read_snyk(document: Any) -> Report:
    """`snyk test --json`, also of several projects. A flaw that comes along several ways counts once."""
    projects = document if isinstance(document, list) else [document]
    found: dict[tuple[str, str, str], Finding] = {}
    looked_at = 0
    for project in projects:
        _failed(project)
        looked_at += int(project["dependencyCount"])
        for flaw in project["vulnerabilities"]:
            names = flaw.get("identifiers") or {}
            ids = frozenset([flaw["id"], *(i for kind in ("CVE", "GHSA") for i in names.get(kind) or ())])
            package = str(flaw.get("packageName") or flaw.get("moduleName") or flaw["name"])
            version = str(flaw.get("version", ""))
            found[flaw["id"], package, version] = Finding(
                package, version, severity(flaw["severity"]), (ids,), str(flaw.get("title", "")),
                ", ".join(map(str, flaw.get("fixedIn") or ())),
            )  # fmt: skip
    return Report(tuple(found.values()), looked_at=looked_at)


def _list(document: Any) -> list[Any]:
    if not isinstance(document, list):
        raise TypeError("not a list")
    return document


READERS: Mapping[str, Callable[[Any], Report]] = {
    "npm": read_npm_audit,
    "npm-outdated": read_npm_outdated,
    "pip-audit": read_pip_audit,
    "pip-outdated": read_pip_outdated,
    "trivy": read_trivy,
    "snyk": read_snyk,
}
