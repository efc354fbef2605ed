"""The probe disk: against df and this machine's mounts."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.host.series import series_of
from tests.component.looking import Looker, values


@pytest.mark.probe("disk")
async def test_disk_agrees_with_df(look: Looker) -> None:
    seen = values(await look(mounts=["/"]))
    output = subprocess.run(["df", "-P", "-B1", "/"], capture_output=True, text=True, check=True).stdout
    _, total, used, available, percent, _ = output.splitlines()[1].split()
    assert seen["total_bytes{/}"] == int(total)
    assert seen["free_bytes{/}"] == pytest.approx(int(available), rel=0.01)
    assert seen["used_ratio{/}"] == pytest.approx(int(used) / (int(used) + int(available)), abs=0.01)
    assert seen["used_ratio{/}"] + seen["free_ratio{/}"] == pytest.approx(1)
    assert 0 <= seen["inodes_used_ratio{/}"] <= 1
    assert abs(seen["used_ratio{/}"] * 100 - int(percent.rstrip("%"))) <= 1.5


async def test_disk_takes_all_real_file_systems_and_no_pseudo_ones(look: Looker) -> None:
    series = series_of(await look())
    assert "/" in series
    assert not series & {"/proc", "/sys", "/dev", "/dev/shm", "/sys/fs/cgroup"}


async def test_disk_watches_a_pseudo_one_that_is_named(look: Looker) -> None:
    assert series_of(await look(mounts="/dev/shm")) == {"/dev/shm"}


async def test_disk_takes_any_path_for_the_file_system_it_is_on(look: Looker, tmp_path: Path) -> None:
    seen = values(await look(paths=[str(tmp_path)]))
    assert seen[f"total_bytes{{{tmp_path}}}"] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


async def test_disk_names_a_mount_that_is_not_there(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=f"{tmp_path} is not mounted.*paths") as caught:
        await look(mounts=["/", str(tmp_path)])
    assert caught.value.kind == "missing"
    with pytest.raises(ProbeError, match="no real file system is mounted at /nowhere/"):
        await look(mounts=["/nowhere/*"])


async def test_disk_names_a_path_that_is_not_there_and_still_tells_the_others(look: Looker) -> None:
    with pytest.raises(ProbeError, match="/not/there: No such file or directory") as caught:
        await look(paths=["/", "/not/there"])
    assert "/: " in caught.value.evidence[0].text


@pytest.mark.probe_failure("disk")
async def test_disk_excludes_by_glob(look: Looker) -> None:
    assert series_of(await look(mounts=["/", "/dev/shm"], exclude=["/dev/*"])) == {"/"}
    with pytest.raises(ProbeError, match="exclude leaves no file system"):
        await look(mounts=["/"], exclude=["*"])


async def test_disk_refuses_relative_paths_and_unknown_words() -> None:
    for params, message in (({"paths": "data"}, "not an absolute path"), ({"mount": "/"}, "Extra inputs")):
        with pytest.raises(ValidationError, match=message):
            PROBES["disk"].Params(**params)


async def test_disk_that_fills_up(look: Looker, tmp_path: Path) -> None:
    folder, now = tmp_path / "small", datetime.now(UTC)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", folder], check=True)
    try:
        for hour in range(9):
            (folder / "log").write_bytes(b"x" * hour * 1_048_576)
            look.now = now + timedelta(hours=hour)
            seen = values(await look(mounts=str(folder)))
            assert (f"growth_per_day{{{folder}}}" in seen) == (hour >= 6)
        assert seen[f"growth_per_day{{{folder}}}"] == pytest.approx(24 * 2**20)
        assert seen[f"days_left{{{folder}}}"] == pytest.approx(0.5)
        for hour in range(9, 40):
            look.now = now + timedelta(hours=hour)
            seen = values(await look(mounts=str(folder)))
        assert (seen[f"growth_per_day{{{folder}}}"], seen[f"days_left{{{folder}}}"]) == (0, 3650)
    finally:
        subprocess.run(["umount", folder], check=True)
