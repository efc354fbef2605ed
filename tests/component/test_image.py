"""What the image's build makes of an installation: no more than is needed, the same every time, and listed."""

from __future__ import annotations

import copy
import json
import platform
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from deploy.image import finish

SBOM = {
    "bomFormat": "CycloneDX",
    "serialNumber": "urn:uuid:1",
    "metadata": {"timestamp": "2026-01-01T00:00:00Z", "component": {"name": "healthd", "version": "0.1.0"}},
    "components": [
        {
            "name": "typing-extensions",
            "version": "4.1.0",
            "purl": "pkg:pypi/typing-extensions@4.1.0?repository_url=https://index.invalid/simple",
            "externalReferences": [{"type": "distribution", "url": "https://files.invalid/x.whl"}],
        }
    ],
}
LIBRARY = "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=bookworm"
STATUS = """
Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14+deb12u1
Description: the library
 of C++

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def install(packages: Path, name: str, version: str, *files: str) -> Path:
    """As pip would. Its .dist-info."""
    info = packages / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for file in files:
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text("x")
    (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in (*files, f"{info.name}/METADATA")))
    return info


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Where an installation has its packages."""
    made = tmp_path / "lib/python3.13/site-packages"
    install(made, "typing_extensions", "4.1.0", "typing_extensions.py")
    info = "healthd-0.1.0.dist-info"
    install(made, "healthd", "0.1.0", "healthd/__init__.py", f"{info}/uv_cache.json", f"{info}/direct_url.json")
    install(made, "botocore", "1", *(f"botocore/data/{name}/x.json" for name in (*finish.services(), "gamelift")))
    (made / "botocore/data/endpoints.json").write_text("{}")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    return made


def test_the_services_that_stay_are_enough_for_every_client(tmp_path: Path) -> None:
    from botocore.loaders import Loader
    from botocore.session import Session

    whole = Path(str(distribution("botocore").locate_file("botocore/data")))
    for entry in whole.iterdir():
        if entry.is_file():
            shutil.copy(entry, tmp_path)
        elif entry.name in finish.services():
            (tmp_path / entry.name).symlink_to(entry)
    session = Session()
    session.register_component(
        "data_loader", Loader(extra_search_paths=[str(tmp_path)], include_default_search_paths=False)
    )
    assert {"s3", "rds", "logs", "cloudwatch", "sts"} <= finish.services()
    assert set(session.get_available_services()) == finish.services()
    for service in finish.services():
        client = session.create_client(
            service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x", use_ssl=False
        )
        assert client.meta.method_to_api_mapping


def test_what_is_not_needed_goes_and_nobody_lists_it(packages: Path) -> None:
    root = packages.parents[2]
    (root / "uv.json").write_text(json.dumps(with_botocore(SBOM)))
    finish.main(root, root / "uv.json", root)
    kept = {path.name for path in (packages / "botocore/data").iterdir()}
    assert kept == {*finish.services(), "endpoints.json"}
    left = {path.name for path in (packages / "healthd-0.1.0.dist-info").iterdir()}
    assert left == {"METADATA", "RECORD"}
    for record in packages.glob("*.dist-info/RECORD"):
        listed = [line.split(",")[0] for line in record.read_text().splitlines()]
        assert listed
        assert all((packages / name).exists() for name in listed)


def test_packages_of_the_system_are_listed_also_those_added_later(packages: Path) -> None:
    root = packages.parents[2]
    (root / "uv.json").write_text(json.dumps(with_botocore(SBOM)))
    finish.main(root, root / "uv.json", root)
    assert listed(root)[2:] == [f"pkg:generic/python@{platform.python_version()}", LIBRARY]
    status = root / "var/lib/dpkg/status"
    added = "\nPackage: gzip\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.12\n"
    status.write_text(status.read_text() + added)
    finish.main(root, system=root)
    assert listed(root)[3:] == [LIBRARY, "pkg:deb/debian/gzip@1.12?arch=amd64&distro=bookworm"]


def listed(root: Path) -> list[str]:
    components = json.loads((root / "sbom.cdx.json").read_text())["components"]
    return [component.get("purl", component["name"]) for component in components]


def with_botocore(sbom: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(sbom), "components": [*sbom["components"], {"name": "botocore", "version": "1"}]}


@pytest.mark.parametrize("name", ["not-listed", "not-installed"])
def test_a_bill_of_materials_that_is_not_true_ends_the_build(name: str, packages: Path) -> None:
    root = packages.parents[2]
    told = with_botocore(SBOM)
    if name == "not-listed":
        install(packages, "not_listed", "1")
    else:
        told["components"].append({"name": name, "version": "1"})
    (root / "uv.json").write_text(json.dumps(told))
    with pytest.raises(SystemExit, match=name):
        finish.main(root, root / "uv.json", root)


def test_a_bill_of_materials_depends_on_what_it_lists_alone() -> None:
    later = copy.deepcopy(SBOM)
    later["serialNumber"], later["metadata"]["timestamp"] = "urn:uuid:2", "2027-01-01T00:00:00Z"  # type: ignore[index]
    first = finish.settled(copy.deepcopy(SBOM), 0)
    assert finish.settled(later, 0) == first
    assert "invalid" not in json.dumps(first)
    assert first["components"][0]["purl"] == "pkg:pypi/typing-extensions@4.1.0"
    later["components"][0]["version"] = "4.2.0"  # type: ignore[index]
    assert finish.settled(later, 0)["serialNumber"] != first["serialNumber"]
