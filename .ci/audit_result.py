"""Says what pip-audit found, from its JSON report and its log. Exit code 1: a vulnerability, or pip-audit failed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# how requests and pip-audit name a service that does not answer, or not as it should
_UNREACHABLE = re.compile(
    r"(ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|TooManyRedirects|JSONDecodeError|ServiceError)\b"
)


def judged(report: Path, log: Path) -> int:
    """The exit code; what there is to say is printed."""
    if not report.is_file():
        said = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
        last = said[-1] if said else "it said nothing"
        if any(_UNREACHABLE.search(line) for line in said):
            print(f"audit: PyPI could not be asked, nothing was looked at ({last})")
            return 0
        print(f"audit: pip-audit failed: {last}")
        return 1
    return _of(json.loads(report.read_text())["dependencies"])


def _of(dependencies: list[dict[str, Any]]) -> int:
    skipped = [d for d in dependencies if "skip_reason" in d]
    looked_at = len(dependencies) - len(skipped)
    found = [(d, flaw) for d in dependencies for flaw in d.get("vulns", ())]
    for dependency, flaw in found:
        fixed = f"fixed in {', '.join(flaw['fix_versions'])}" if flaw["fix_versions"] else "not fixed yet"
        names = ", ".join([flaw["id"], *flaw.get("aliases", ())])
        print(f"audit: {dependency['name']} {dependency['version']}: {names}: {fixed}")
    if not looked_at:
        why = skipped[0]["skip_reason"] if skipped else "there are no packages"
        print(f"audit: PyPI could not be asked, none of {len(dependencies)} packages was looked at ({why})")
        return 0 if skipped else 1
    rest = f"; {len(skipped)} could not be looked at, the first: {skipped[0]['skip_reason']}" if skipped else ""
    print(f"audit: {len(found)} known vulnerabilities in {looked_at} packages{rest}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(judged(Path(sys.argv[1]), Path(sys.argv[2])))
