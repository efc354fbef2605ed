"""The probe memory: against the kernel, and trees of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.looking import Looker, evidence, values


@pytest.mark.probe("memory")
async def test_memory_agrees_with_the_kernel(look: Looker) -> None:
    seen = values(await look())
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(lines["MemTotal"].split()[0]) * 1024
    available = int(lines["MemAvailable"].split()[0]) * 1024
    assert seen["total_bytes"] == total
    assert seen["available_bytes"] == pytest.approx(available, rel=0.1)
    assert seen["used_ratio"] == pytest.approx(1 - available / total, abs=0.1)
    assert 0 <= seen["swap_used_ratio"] <= 1


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


async def test_memory_of_a_version_2_group_under_its_parents_limit(look: Looker, tmp_path: Path) -> None:
    group = write_tree(
        tmp_path / "pod/container",
        {
            "memory.current": "800",
            "memory.max": "max",
            "memory.stat": "anon 500\ninactive_file 200\nactive_file 100",
            "memory.swap.current": "10",
            "memory.swap.max": "40",
        },
    )
    write_tree(tmp_path / "pod", {"memory.max": "1000", "memory.swap.max": "max"})
    seen = values(await look(scope="cgroup", cgroup=group))
    assert seen == {
        "used_ratio": 0.6,
        "used_bytes": 600,
        "available_bytes": 400,
        "total_bytes": 1000,
        "swap_used_ratio": 0.25,
    }


async def test_memory_of_a_version_1_group(look: Looker, tmp_path: Path) -> None:
    group = write_tree(
        tmp_path / "docker",
        {
            "memory.usage_in_bytes": "900",
            "memory.limit_in_bytes": "1000",
            "memory.memsw.usage_in_bytes": "950",
            "memory.memsw.limit_in_bytes": "1100",
            "memory.stat": "inactive_file 1\ntotal_inactive_file 150",
        },
    )
    seen = values(await look(scope="cgroup", cgroup=group))
    assert (seen["used_ratio"], seen["total_bytes"], seen["swap_used_ratio"]) == (0.75, 1000, 0.5)


async def test_memory_of_a_group_without_limit_is_compared_with_the_machine(look: Looker, tmp_path: Path) -> None:
    group = write_tree(tmp_path / "g", {"memory.usage_in_bytes": "900", "memory.limit_in_bytes": "9223372036854771712"})
    observation = await look(scope="cgroup", cgroup=group)
    assert values(observation)["total_bytes"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert "no limit set" in evidence(observation, "Control group")


@pytest.mark.probe_failure("memory")
async def test_memory_names_a_group_that_is_not_there(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=f"{tmp_path}/gone is not a control group") as caught:
        await look(scope="cgroup", cgroup=tmp_path / "gone")
    assert caught.value.kind == "missing"
    with pytest.raises(ValidationError, match="write scope: cgroup beside it"):
        PROBES["memory"].Params(cgroup=tmp_path)
