"""`trivy image` of the emulated Social Live.

Called as trivy.py FOLDER image [--quiet] [--exit-code CODE] IMAGE: FOLDER holds `images.json` (what is in each
image) and `advisories.json` (what is known to be vulnerable). Ends with CODE when something is found, 1 when it fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def vulnerabilities(installed: dict[str, str], advisories: list[dict[str, str]]) -> list[dict[str, str]]:
    """The advisories that hold for what is installed: it is older than their fix."""
    return [a for a in advisories if a["package"] in installed and _key(installed[a["package"]]) < _key(a["fixed_in"])]


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def main(argv: list[str]) -> int:
    """Scan one image and say what was found."""
    parser = argparse.ArgumentParser(prog="trivy")
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", choices=["image"])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("image")
    given = parser.parse_args(argv)
    images = _read(given.folder / "images.json")
    if given.image not in images:
        sys.stderr.write(f"FATAL unable to find the image {given.image}\n")
        return 1
    found = vulnerabilities(images[given.image], _read(given.folder / "advisories.json"))
    for each in found:
        sys.stdout.write(f"{each['id']}  {each['severity']}  {each['package']}  fixed in {each['fixed_in']}\n")
    return given.exit_code if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
