"""What the process may not read: asked as a user who really may not."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.component.files.folders import put

_AS_NOBODY = """
import asyncio, json, os, pwd, sys
from tests.component.looking import looking, values
from healthd.probes import PROBES
from healthd.probes.base import ProbeError
probe = PROBES["files"]
async def main():
    async with looking(probe) as look:
        try:
            observation = await look(**json.loads(sys.argv[1]))
            print(json.dumps({"values": values(observation), "evidence": [e.text for e in observation.evidence]}))
        except ProbeError as error:
            print(json.dumps({"kind": error.kind, "reason": error.reason}))
if os.geteuid() == 0:  # only now: such a user may not be allowed to read this Python
    os.setgroups([])
    os.setuid(pwd.getpwnam("nobody").pw_uid)
asyncio.run(main())
"""


def look_as_ordinary_user(**params: object) -> dict[str, object]:
    process = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, json.dumps(params)],
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    answer: dict[str, object] = json.loads(process.stdout)
    return answer


def test_a_folder_that_may_not_be_read_is_a_failure_naming_it(open_path: Path) -> None:
    put(open_path / "open/a.log")
    put(open_path / "closed/b.log")
    (open_path / "closed").chmod(0)
    try:
        assert look_as_ordinary_user(glob=f"{open_path}/closed/*.log") == {
            "kind": "forbidden",
            "reason": f"cannot look into {open_path}/closed: Permission denied",
        }
        assert look_as_ordinary_user(glob=f"{open_path}/**/*.log") == {
            "kind": "forbidden",
            "reason": f"cannot look into {open_path}/closed: Permission denied;"
            " to leave out what healthd may not see write unreadable: skip",
        }
        answer = look_as_ordinary_user(glob=f"{open_path}/**/*.log", unreadable="skip")
        assert answer["values"]["count"] == 1  # type: ignore[index]
        assert f"{open_path}/closed" in answer["evidence"][1]  # type: ignore[index]
    finally:
        (open_path / "closed").chmod(0o755)


def test_a_file_that_may_not_be_read_through_is_a_failure_naming_it(open_path: Path) -> None:
    put(open_path / "x.gz", gzip.compress(b"x")).chmod(0)
    assert look_as_ordinary_user(glob=f"{open_path}/*.gz", gzip="newest") == {
        "kind": "forbidden",
        "reason": f"cannot read {open_path}/x.gz: Permission denied",
    }
