"""The probe docker_disk."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.component.docker.conftest import Look, Scripted
from tests.component.looking import evidence, values
from tests.servers.docker import IMAGE, DockerEngine


async def test_what_is_used_and_what_is_not(docker: DockerEngine, look: Look) -> None:
    docker.run("exec sleep 1000", name="up")
    docker.load_image("spare:1", extra={"big": b"x" * 1_000_000})
    dangling = docker.load_image("spare:2", extra={"big": b"y" * 2_000_000})
    docker.load_image("spare:2", extra={"big": b"z" * 100_000})
    found = values(await look("docker_disk"))
    assert (found["images"], found["unused_images"], found["dangling_images"]) == (4, 3, 1)
    assert (found["old_unused_images"], found["old_dangling_images"]) == (0, 0)
    assert float(found["unused_images_bytes"]) > 3_100_000
    assert float(found["images_bytes"]) > float(found["unused_images_bytes"])
    assert found["old_unused_images_bytes"] == 0
    later = await look("docker_disk", now=datetime.now(UTC) + timedelta(days=8))
    old = values(later)
    assert (old["old_unused_images"], old["old_dangling_images"]) == (3, 1)
    assert old["old_unused_images_bytes"] == found["unused_images_bytes"]
    first = evidence(later, "largest unused").splitlines()[0]
    assert dangling.removeprefix("sha256:")[:12] in first
    assert first.endswith("made 8d ago")
    assert IMAGE not in evidence(later, "largest unused")


async def test_containers_and_volumes(docker: DockerEngine, look: Look) -> None:
    docker.run("i=0; while [ $i -lt 100 ]; do echo 0123456789; i=$((i+1)); done > /tmp/f", name="wrote")
    docker.wait("wrote")
    docker.ask("POST", "/volumes/create", {"Name": "lost"})
    docker.ask("POST", "/volumes/create", {"Name": "kept"})
    docker.run(
        "echo 0123456789 > /data/f; exec sleep 1000", name="user",
        host={"Mounts": [{"Type": "volume", "Source": "kept", "Target": "/data"}]},
    )  # fmt: skip
    found = values(await look("docker_disk"))
    while not found["volumes_bytes"]:  # until the container has written
        found = values(await look("docker_disk"))
    assert (found["volumes"], found["unused_volumes"]) == (2, 1)
    assert found["unused_volumes_bytes"] == 0
    assert found["stopped_containers"] == 1
    assert float(found["stopped_containers_bytes"]) >= 1100
    assert float(found["containers_bytes"]) >= float(found["stopped_containers_bytes"])
    parts = ("images", "containers", "volumes", "build_cache")
    assert found["total_bytes"] == sum(float(found[f"{part}_bytes"]) for part in parts)


# The shape is that of an engine with BuildKit (API 1.41); BuildKit itself needs a network for its base images.
CACHE = [
    {"ID": "a", "Type": "regular", "InUse": False, "Shared": False, "Size": 700, "LastUsedAt": "2026-01-01T00:00:00Z"},
    {"ID": "b", "Type": "regular", "InUse": True, "Shared": False, "Size": 50, "LastUsedAt": None},
    {"ID": "c", "Type": "regular", "InUse": False, "Shared": True, "Size": 9000, "LastUsedAt": "2026-01-01T00:00:00Z"},
    {
        "ID": "d", "Type": "source.local", "InUse": False, "Shared": False, "Size": 20,
        "CreatedAt": "2026-03-09T00:00:00.123456789Z",
    },
]  # fmt: skip


@pytest.mark.probe("docker_disk")
async def test_build_cache(scripted: Scripted, look: Look) -> None:
    answer = {"LayersSize": 0, "Images": None, "Containers": [], "Volumes": [], "BuildCache": CACHE}
    scripted.answers["/v1.41/system/df"] = (200, {}, json.dumps(answer))
    found = values(await look("docker_disk", url=scripted.url, now=datetime(2026, 3, 10, tzinfo=UTC)))
    assert found["build_cache_bytes"] == 770, "what images share is counted with them"
    assert (found["unused_build_cache_bytes"], found["old_build_cache_bytes"]) == (720, 700)


@pytest.mark.parametrize("body", ["[]", "{}", '{"LayersSize": 1, "Images": [{}]}', '{"LayersSize": 1, "Volumes": [1]}'])
async def test_an_answer_that_makes_no_sense(scripted: Scripted, look: Look, body: str) -> None:
    scripted.answers["/v1.41/system/df"] = (200, {}, body)
    with pytest.raises(Exception, match="cannot be understood"):
        await look("docker_disk", url=scripted.url)
