"""Stands for npm: `npm audit --json` tells of the advisories in the file that is its first argument.

As npm does, it ends with 1 when it found something, and refuses a folder without a lock file.
"""

import json
import sys
from pathlib import Path


def main(advisories: str, *words: str) -> int:
    """The exit code."""
    if words[:1] != ("audit",):
        sys.stderr.write(f"npm: this one can audit only, not {' '.join(words)!r}\n")
        return 2
    if not Path("package-lock.json").exists():
        json.dump({"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile."}}, sys.stdout)
        return 1
    counts = json.loads(Path(advisories).read_text())
    found = {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"vulnerabilities": counts}}
    json.dump(found, sys.stdout)
    return 1 if counts["total"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
