"""Stands for npm: `npm audit --json` and `npm outdated --json` tell what the file says that is its first argument.

As npm does, both end with 1 when they found something, and refuse a folder without a lock file.
"""

import json
import sys
from pathlib import Path


def _flaw(package: str, severity: str) -> dict[str, object]:
    """An advisory for a package, as npm tells it."""
    url = f"https://github.com/advisories/GHSA-{package}"
    cause = {"source": 1, "name": package, "title": "Prototype pollution", "url": url, "severity": severity}
    return {"name": package, "severity": severity, "via": [cause], "range": "<2.0.0", "fixAvailable": True}


def main(known: str, *words: str) -> int:
    """The exit code."""
    if not Path("package-lock.json").exists():
        json.dump({"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile."}}, sys.stdout)
        return 1
    registry = json.loads(Path(known).read_text())
    match words[:1]:
        case ("audit",):
            flaws = registry["flaws"]  # severity of each vulnerable package
            listed = {f"package-{number}": _flaw(f"package-{number}", word) for number, word in enumerate(flaws)}
            metadata = {"dependencies": {"total": 412}}
            json.dump({"auditReportVersion": 2, "vulnerabilities": listed, "metadata": metadata}, sys.stdout)
            return int(bool(flaws))
        case ("outdated",):
            behind = {"current": "1.0.0", "wanted": "1.0.0", "latest": "2.0.0"}
            json.dump({f"package-{number}": behind for number in range(registry["outdated"])}, sys.stdout)
            return int(registry["outdated"] > 0)
    sys.stderr.write(f"npm: this one can audit and tell what is outdated, not {' '.join(words)!r}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
