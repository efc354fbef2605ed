"""The environment probe: variables of healthd, of files and of running programs; secret files on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, evidence, looking, values

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "s3cr3t-value-of-a-variable"


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["environment"]) as looker:
        looker.now = NOW
        yield looker


def secret(path: Path, text: str = SECRET, mode: int = 0o600, age: float = 3600) -> str:
    path.write_text(text)
    path.chmod(mode)
    os.utime(path, (NOW.timestamp() - age,) * 2)
    return str(path)


# -- variables


async def test_variables_of_healthd_itself(look: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_SET", SECRET)
    monkeypatch.setenv("PROBE_EMPTY", "")
    seen = await look(variables=["PROBE_SET", "PROBE_EMPTY", "PROBE_UNSET"])
    assert values(seen) == {
        "missing_variables": 2, "variable{PROBE_SET}": 1, "variable{PROBE_EMPTY}": 0, "variable{PROBE_UNSET}": 0,
    }  # fmt: skip
    assert seen.note == "PROBE_EMPTY is not set; PROBE_UNSET is not set"
    assert SECRET not in repr(seen)
    assert (await look(variables="PROBE_SET")).note == ""


@pytest.mark.probe_failure("environment")
async def test_variables_of_a_file(look: Looker, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f"# comment\nexport JWT_SECRET='{SECRET}'\n  DATABASE_URL = x \nEMPTY=\nQUOTED=\"\"\nnot a line\n#OFF=1\n"
    )
    seen = await look(env_file=str(file), variables=["JWT_SECRET", "DATABASE_URL", "EMPTY", "QUOTED", "OFF"])
    assert values(seen)["missing_variables"] == 3
    assert SECRET not in repr(seen)
    with pytest.raises(ProbeError, match="cannot read") as failure:
        await look(env_file=str(tmp_path / "none"), variables="A")
    assert failure.value.kind == "missing"


@pytest.fixture
def program() -> Iterator[str]:
    """A running program with JWT_SECRET; its mark in the command line."""
    mark = f"environment-probe-{os.getpid()}"
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, mark], env={"JWT_SECRET": SECRET}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    yield mark
    child.communicate()


async def test_variables_of_a_running_program(look: Looker, program: str) -> None:
    seen = await look(process=f"{program}$", variables=["JWT_SECRET", "CORS_ORIGIN"])
    assert values(seen)["variable{JWT_SECRET}"] == 1
    assert values(seen)["variable{CORS_ORIGIN}"] == 0
    assert seen.note.startswith("CORS_ORIGIN is not set in process ")
    assert SECRET not in repr(seen)
    with pytest.raises(ProbeError, match="no running program matches") as failure:
        await look(process=f"{program}-none", variables="A")
    assert failure.value.kind == "missing"


# -- files


async def test_secret_files(look: Looker, tmp_path: Path) -> None:
    good, blank = secret(tmp_path / "good"), secret(tmp_path / "blank", " \n")
    open_, gone = secret(tmp_path / "open", mode=0o644, age=86400), str(tmp_path / "gone")
    seen = await look(files=[good, blank, open_, gone])
    assert values(seen) == {
        "missing_files": 1, "empty_files": 1, "exposed_files": 1,
        f"file{{{good}}}": 1, f"file{{{blank}}}": 0, f"file{{{open_}}}": 0, f"file{{{gone}}}": 0,
        f"file_age{{{good}}}": 3600, f"file_age{{{blank}}}": 3600, f"file_age{{{open_}}}": 86400,
    }  # fmt: skip
    assert f"{blank} is empty; {open_} may be read by everyone; {gone} is not there" in seen.note
    assert f"{open_}: written 1d ago" in evidence(seen, "secret files")
    assert SECRET not in repr(seen)


@pytest.mark.probe("environment")
async def test_a_folder_as_kubernetes_mounts_it(look: Looker, tmp_path: Path) -> None:
    data = tmp_path / "..2026_11_21"
    data.mkdir()
    secret(data / "password", age=100)
    (tmp_path / "..data").symlink_to(data)
    (tmp_path / "password").symlink_to("..data/password")
    seen = await look(files=str(tmp_path))
    assert values(seen)[f"file{{{tmp_path}/password}}"] == 1
    assert values(seen)[f"file_age{{{tmp_path}/password}}"] == 100
    assert values(seen)["missing_files"] == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    assert values(await look(files=str(empty)))["missing_files"] == 1


async def test_links_that_lead_nowhere_and_pipes_are_no_files(look: Looker, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    assert values(await look(files=[str(tmp_path / "link"), str(tmp_path / "pipe")]))["missing_files"] == 2


@pytest.mark.parametrize(
    "params",
    [{}, {"files": "relative"}, {"env_file": ".env", "variables": "A"}, {"variables": "A", "process": "("},
     {"env_file": "/x", "process": "y", "variables": "A"}, {"env_file": "/x", "files": "/y"}],
)  # fmt: skip
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["environment"].Params(**params)
