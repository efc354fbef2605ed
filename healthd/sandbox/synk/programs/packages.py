"""`pip list --outdated`, `pip-audit`, `npm outdated` and `npm audit` of the emulated Synk.

Called as packages.py FOLDER PROGRAM ARGUMENTS...: FOLDER holds `index.json` (the newest version of each package, by
ecosystem) and `advisories.json` (what is known to be vulnerable). Python's packages are those of FOLDER/installed.json,
JavaScript's those of package-lock.json in the working folder. Exit codes are those of the real programs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def newer(installed: Mapping[str, str], index: Mapping[str, str]) -> dict[str, str]:
    """Those with a newer version: package to that version."""
    return {name: index[name] for name, version in installed.items() if _key(index.get(name, "")) > _key(version)}


def vulnerable(installed: Mapping[str, str], advisories: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The advisories that each package is older than the fix of."""
    return {
        name: [a for a in advisories if a["package"] == name and _key(version) < _key(a["fixed_in"])]
        for name, version in installed.items()
    }


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _locked(folder: Path) -> dict[str, str]:
    """Package to version, from package-lock.json."""
    packages = _read(folder / "package-lock.json")["packages"]
    return {path.removeprefix("node_modules/"): item["version"] for path, item in packages.items() if path}


def pip_outdated(folder: Path) -> tuple[Any, int]:
    """What `pip list --outdated --format=json` prints, and its exit code."""
    installed = _read(folder / "installed.json")
    found = newer(installed, _read(folder / "index.json")["python"])
    listed = [
        {"name": n, "version": installed[n], "latest_version": v, "latest_filetype": "wheel"} for n, v in found.items()
    ]
    return listed, 0


def pip_audit(folder: Path) -> tuple[Any, int]:
    """What `pip-audit --format=json` prints, and its exit code."""
    installed = _read(folder / "installed.json")
    found = vulnerable(installed, _read(folder / "advisories.json")["python"])
    dependencies = [
        {"name": n, "version": v, "vulns": [{"id": a["id"], "fix_versions": [a["fixed_in"]]} for a in found[n]]}
        for n, v in installed.items()
    ]
    return {"dependencies": dependencies, "fixes": []}, int(any(found.values()))


def npm_outdated(folder: Path) -> tuple[Any, int]:
    """What `npm outdated --json` prints, and its exit code."""
    locked = _locked(Path.cwd())
    found = newer(locked, _read(folder / "index.json")["javascript"])
    return {n: {"current": locked[n], "wanted": locked[n], "latest": v} for n, v in found.items()}, int(bool(found))


def npm_audit(folder: Path) -> tuple[Any, int]:
    """What `npm audit --json` prints, and its exit code."""
    locked = _locked(Path.cwd())
    found = {n: a for n, a in vulnerable(locked, _read(folder / "advisories.json")["javascript"]).items() if a}
    counts = dict.fromkeys(("info", "low", "moderate", "high", "critical"), 0)
    for advisory in (each for several in found.values() for each in several):
        counts[advisory.get("severity", "high")] += 1
    total = sum(counts.values())
    report = {
        "auditReportVersion": 2,
        "vulnerabilities": {
            name: {"name": name, "severity": several[0].get("severity", "high"), "via": several, "fixAvailable": True}
            for name, several in found.items()
        },
        "metadata": {"vulnerabilities": {**counts, "total": total}, "dependencies": {"total": len(locked)}},
    }
    return report, int(total > 0)


_COMMANDS = {
    ("pip", "list"): pip_outdated,
    ("pip-audit", ""): pip_audit,
    ("npm", "outdated"): npm_outdated,
    ("npm", "audit"): npm_audit,
}


def main(argv: list[str]) -> int:
    """Run one of them."""
    folder, program, *rest = argv
    words = [word for word in rest if not word.startswith("-")]
    command = _COMMANDS.get((program, words[0] if words else ""))
    if command is None:
        sys.stderr.write(f"{program} {' '.join(rest)} is not emulated\n")
        return 2
    printed, code = command(Path(folder))
    sys.stdout.write(json.dumps(printed) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
