"""Used by the Dockerfile, with the Python of the image's environment: leaves in it what is needed, and says what it is.

    python finish.py /opt/healthd SBOM
    python finish.py /opt/healthd           after packages of the system were added: list those too

- Of the descriptions of AWS' services those stay that a probe asks, or credentials come from.
- What tells when and where the wheel of healthd was built goes: it would make every build another one.
- `SBOM`, as uv writes it, becomes /opt/healthd/sbom.cdx.json: without the lock file's placeholders for addresses, its
  time from SOURCE_DATE_EPOCH, its serial number from what it lists. It must list exactly what is installed;
  the interpreter and the packages of the system, as dpkg knows them, are added.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import pkgutil
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


def system_components(system: Path) -> list[dict[str, Any]]:
    """The interpreter that runs this, and the packages installed below `system`, by name."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', (system / "etc/os-release").read_text(), re.MULTILINE))
    python = platform.python_version()
    found = [_component("application", "python", python, f"pkg:generic/python@{python}")]
    for entry in (system / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", entry, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            where = f"arch={fields['Architecture']}&distro={release.get('VERSION_CODENAME', '')}"
            purl = f"pkg:deb/{release.get('ID', 'debian')}/{quote(name)}@{quote(version)}?{where}"
            found.append(_component("library", name, version, purl))
    return found


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def complete(sbom: dict[str, Any], system: Path) -> dict[str, Any]:
    """With what is installed below `system` now, in place of what was when it was written."""
    kept = [c for c in sbom["components"] if not c.get("purl", "").startswith(("pkg:deb/", "pkg:generic/"))]
    return numbered({**sbom, "components": [*kept, *system_components(system)]})


def numbered(sbom: dict[str, Any]) -> dict[str, Any]:
    """With a serial number that depends on nothing but what it says."""
    content = json.dumps({**sbom, "serialNumber": ""}, sort_keys=True)
    return {**sbom, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"}


def settled(sbom: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The bill of materials without what differs from build to build or is nobody's address."""
    for component in (sbom["metadata"]["component"], *sbom["components"]):
        component.pop("externalReferences", None)
        if "purl" in component:
            component["purl"] = component["purl"].partition("?")[0]
    sbom["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()
    return numbered(sbom)


def check_listed(sbom: dict[str, Any], packages: Path) -> None:
    """Raises SystemExit naming what is installed and not listed, or listed and not installed."""
    components = (sbom["metadata"]["component"], *sbom["components"])
    listed = {(_normal(c["name"]), c["version"]) for c in components}
    installed = {(_normal(d.metadata["Name"]), d.version) for d in distributions(path=[str(packages)])}
    if wrong := listed ^ installed:
        sys.exit(f"the bill of materials and what is installed differ: {sorted(wrong)}")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(root: Path, sbom: Path | None = None, system: Path = Path("/")) -> None:
    """All of it; without `sbom`, the packages of the system alone."""
    target = root / "sbom.cdx.json"
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    if sbom is None:
        listed = json.loads(target.read_text())
    else:
        (packages,) = root.glob("lib/python*/site-packages")
        prune(packages, services())
        forget_build(packages)
        settle_records(packages)
        listed = settled(json.loads(sbom.read_text()), epoch)
        check_listed(listed, packages)
    target.write_text(json.dumps(complete(listed, system), indent=1) + "\n", encoding="utf-8")
    os.utime(target, (epoch, epoch))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
