"""The probe command: what runs, and what may."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes.base import ProbeError, ProbeLimits
from tests.component.command.programs import PROBE, Leftovers, sh
from tests.component.looking import Looker, evidence, values


async def test_exit_code_duration_and_lines(look: Looker, leftovers: Leftovers) -> None:
    observation = await look(**sh("echo one; echo two; printf three; echo warning >&2; sleep 0.1"))
    seen = values(observation)
    assert (seen["exit_code"], seen["lines"]) == (0, 3)
    assert 0.1 <= float(seen["duration"]) < 10
    assert evidence(observation, "Output") == "one\ntwo\nthree"
    assert evidence(observation, "Error output") == "warning"
    assert observation.note == ""
    assert not await leftovers()


async def test_a_failing_program_is_told_with_its_first_words(look: Looker) -> None:
    observation = await look(**sh("echo could not connect >&2; echo more >&2; exit 7"))
    assert values(observation)["exit_code"] == 7
    assert observation.note == "exit code 7: could not connect"
    observation = await look(**sh("kill -9 $$"))
    assert (values(observation)["exit_code"], observation.note) == (137, "exit code 137")
    assert PROBE.defaults[0].measure == "exit_code"


async def test_nothing_is_given_to_it_but_what_is_written(look: Looker, tmp_path: Path) -> None:
    observation = await look(argv=["sh", "-c", "env; pwd; wc -c; echo $#-$1-$2", "me", "a b; ls", 5], cwd=str(tmp_path))
    lines = set(evidence(observation, "Output").splitlines()) - {"_=/usr/bin/env", "SHLVL=1", "SHLVL=0"}
    environment = {line for line in lines if "=" in line}
    assert {e for e in environment if not e.startswith(("PWD=", "OLDPWD="))} == {
        "LC_ALL=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    assert lines - environment == {str(tmp_path), "0", "2-a b; ls-5"}


async def test_secrets_reach_the_program_and_nobody_else(look: Looker) -> None:
    env = {"PGPASSWORD": "hunter2-of-old", "PORT": 5432}
    script = "echo password is $PGPASSWORD on $PORT; echo got $PGPASSWORD >&2; exit 1"
    observation = await look(**sh(script, env=env, extract={"word": {"pattern": "is (.*)", "unit": "text"}}))
    assert "hunter2" not in repr(observation)
    assert "<redacted> on <redacted>" in evidence(observation, "Output")
    assert "hunter2" not in repr(PROBE.Params(**sh(script, env=env)))
    look.timeout = timedelta(seconds=0.5)
    with pytest.raises(ProbeError) as caught:
        await look(**sh("echo $PGPASSWORD; sleep 60", env=env))
    assert "hunter2" not in repr(caught.value.evidence) + caught.value.reason


@pytest.mark.parametrize(
    ("allowed", "argv", "kind", "reason"),
    [
        ((), "id", "forbidden", r"healthd may not run any program: set HEALTHD_ALLOWED_COMMANDS=/\S+/id to allow"),
        (("df", "sh"), "id", "forbidden", r"may not run /\S+/id: add it to HEALTHD_ALLOWED_COMMANDS \(now: df, sh\)"),
        (("sh",), "/tmp/sh", "forbidden", "may not run /tmp/sh"),
        (("sh",), "/usr/bin/../../tmp/sh", "forbidden", "may not run /usr/bin/../../tmp/sh"),
        (("no-such-thing",), "no-such-thing", "config", "there is no program no-such-thing on /usr/local/sbin:"),
        (("/no/such",), "/no/such", "config", "/no/such is not there"),
        (("/etc/passwd",), "/etc/passwd", "config", "/etc/passwd is not executable"),
        (("/etc",), "/etc", "config", "/etc is not executable"),
    ],
)
async def test_only_allowed_programs_run(
    look: Looker, allowed: tuple[str, ...], argv: str, kind: str, reason: str
) -> None:
    look.limits = ProbeLimits(allowed_commands=allowed)
    with pytest.raises(ProbeError, match=reason) as caught:
        await look(argv=[argv])
    assert caught.value.kind == kind


async def test_names_and_paths_stand_for_the_same_program(look: Looker) -> None:
    path = next(p for p in ("/usr/bin/id", "/bin/id") if os.path.exists(p))
    for allowed, program in (("id", path), (path, "id"), (path, path)):
        look.limits = ProbeLimits(allowed_commands=(allowed,))
        assert values(await look(argv=[program]))["exit_code"] == 0


async def test_what_cannot_start_says_why(look: Looker, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo no first line\n")
    script.chmod(0o755)
    look.limits = ProbeLimits(allowed_commands=(str(script), "sh"))
    with pytest.raises(ProbeError, match="needs a first line such as #!/bin/sh") as caught:
        await look(argv=[str(script)])
    assert caught.value.kind == "config"
    with pytest.raises(ProbeError, match="cwd /not/there is not there"):
        await look(**sh("true", cwd="/not/there"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"argv": "df -h /"}, "must be a list, one word each: [df, ...]; there is no shell"),
        ({"argv": []}, "must begin with the program"),
        ({"argv": ["./check.sh"]}, "is a relative path"),
        ({"argv": ["x", True]}, "valid string"),
        ({"argv": ["x", "a\0b"]}, "NUL"),
        ({"argv": ["x"], "cwd": "here"}, "is not an absolute path"),
        ({"argv": ["x"], "env": {"A=B": "c"}}, "cannot be the name"),
        ({"argv": ["x"], "extract": {"a": r"\d+"}}, "has no group"),
        ({"argv": ["x"], "extract": {"a": "("}}, "not a regular expression"),
        ({"argv": ["x"], "extract": {"a": {"pattern": "(.)", "unit": "furlongs"}}}, "unknown unit 'furlongs'"),
        ({"argv": ["x"], "extract": {"exit_code": "(.)"}}, "is taken"),
        ({"argv": ["x"], "extract": {"a": "(.)"}, "json": {"a": "$.a"}}, "one name, one measure"),
        ({"argv": ["x"], "json": {"a": "$.a["}}, "not a JSON path"),
        ({"argv": ["x"], "format": "plugin", "json": {"a": "$.a"}}, "performance data"),
        ({"argv": ["x"], "shell": True}, "Extra inputs"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBE.Params(**params)
    assert message in str(caught.value)
