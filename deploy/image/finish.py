"""Used by the Dockerfile, with the Python of the image's environment: leaves in it what is needed, and says what it is.

    python finish.py /opt/healthd SBOM

- Of the descriptions of AWS' services those stay that a probe asks, or credentials come from.
- What tells when and where the wheel of healthd was built goes: it would make every build another one.
- `SBOM`, as uv writes it, becomes /opt/healthd/sbom.cdx.json: without the lock file's placeholders for addresses, its
  time from SOURCE_DATE_EPOCH, its serial number from what it lists. It must list exactly what is installed.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import pkgutil
import re
import shutil
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

CREDENTIALS = frozenset({"sts", "sso", "sso-oidc", "signin"})
OF_THE_BUILD = ("uv_cache.json", "direct_url.json")


def services() -> frozenset[str]:
    """The AWS services, as botocore names them, that healthd may ask."""
    from healthd.probes import aws, restore
    from healthd.probes.aws.operations import Operation

    found = set(CREDENTIALS)
    for package in (aws, restore):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            values = vars(importlib.import_module(module.name)).values()
            found |= {value.service for value in values if isinstance(value, Operation)}
    return frozenset(found)


def prune(packages: Path, keep: Iterable[str]) -> None:
    """Remove the descriptions of all other services. Raises SystemExit when one that is to stay is not there."""
    data = packages / "botocore/data"
    if missing := [name for name in keep if not (data / name).is_dir()]:
        sys.exit(f"botocore does not describe {', '.join(missing)}")
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)


def forget_build(packages: Path) -> None:
    """Remove what a build leaves behind of itself."""
    for record in packages.glob("healthd-*.dist-info/RECORD"):
        for name in OF_THE_BUILD:
            (record.parent / name).unlink(missing_ok=True)


def settle_records(packages: Path) -> None:
    """A distribution's list of its files names those that are there."""
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        kept = [row for row in rows if (packages / row[0]).exists()]
        if kept != rows:
            with record.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(kept)


def settled(sbom: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The bill of materials without what differs from build to build or is nobody's address."""
    for component in (sbom["metadata"]["component"], *sbom["components"]):
        component.pop("externalReferences", None)
        if "purl" in component:
            component["purl"] = component["purl"].partition("?")[0]
    sbom.pop("serialNumber", None)
    sbom["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()
    content = json.dumps(sbom, sort_keys=True)
    return {**sbom, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"}


def check_listed(sbom: dict[str, Any], packages: Path) -> None:
    """Raises SystemExit naming what is installed and not listed, or listed and not installed."""
    components = (sbom["metadata"]["component"], *sbom["components"])
    listed = {(_normal(c["name"]), c["version"]) for c in components}
    installed = {(_normal(d.metadata["Name"]), d.version) for d in distributions(path=[str(packages)])}
    if wrong := listed ^ installed:
        sys.exit(f"the bill of materials and what is installed differ: {sorted(wrong)}")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(root: Path, sbom: Path) -> None:
    """All of it."""
    (packages,) = root.glob("lib/python*/site-packages")
    prune(packages, services())
    forget_build(packages)
    settle_records(packages)
    listed = settled(json.loads(sbom.read_text()), int(os.environ.get("SOURCE_DATE_EPOCH") or 0))
    check_listed(listed, packages)
    (root / "sbom.cdx.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
