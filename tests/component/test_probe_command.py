"""The command probe with real programs: well-behaved, failing, hanging, flooding, and leaving children behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.model.units import Unit
from healthd.probes import PROBES
from healthd.probes.base import ProbeError, ProbeLimits
from healthd.probes.command.plugin import parse_plugin_output
from tests.component.looking import Looker, evidence, looking, values

PROBE = PROBES["command"]


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    """May run sh and python."""
    async with looking(PROBE) as looker:
        looker.limits = ProbeLimits(allowed_commands=("sh", sys.executable))
        yield looker


def sh(script: str, **params: object) -> dict[str, object]:
    return {"argv": ["sh", "-c", script], **params}


def children() -> set[int]:
    """Every child of this process, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, parent, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.add(int(stat.parent.name))
    return found


Leftovers = Callable[[], Awaitable[set[int]]]


@pytest.fixture
def leftovers() -> Leftovers:
    """The children that were not there before the test and do not soon end."""
    before = children()

    async def wait() -> set[int]:
        for _ in range(200):
            if children() <= before:
                break
            await asyncio.sleep(0.01)
        return children() - before

    return wait


async def gone(pid: int) -> bool:
    """Whether the process is gone, or soon is."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # ended; who inherited it has to reap it
        except OSError:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_exit_code_duration_and_lines(look: Looker, leftovers: Leftovers) -> None:
    observation = await look(**sh("echo one; echo two; printf three; echo warning >&2; sleep 0.1"))
    seen = values(observation)
    assert (seen["exit_code"], seen["lines"]) == (0, 3)
    assert 0.1 <= float(seen["duration"]) < 2
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


# what may run


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


# bad behaviour


async def test_one_that_hangs_is_ended_with_all_its_children(
    look: Looker, leftovers: Leftovers, tmp_path: Path
) -> None:
    look.timeout = timedelta(seconds=1)
    script = f"sleep 61 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/own; echo started; wait"
    started = time.monotonic()
    with pytest.raises(ProbeError, match=r"sh did not end within 0\.8s and was stopped") as caught:
        await look(**sh(script))
    assert time.monotonic() - started < 1
    assert caught.value.kind == "timeout"
    assert caught.value.evidence[0].text == "started"
    for name in ("child", "own"):
        assert await gone(int((tmp_path / name).read_text()))
    assert not await leftovers()


async def test_one_that_will_not_hear_is_killed(look: Looker, leftovers: Leftovers, tmp_path: Path) -> None:
    look.timeout = timedelta(seconds=1)
    script = f"trap 'echo heard >> {tmp_path}/heard' TERM; echo $$ > {tmp_path}/own; while :; do sleep 0.05; done"
    with pytest.raises(ProbeError, match="did not end"):
        await look(**sh(script))
    assert (tmp_path / "heard").read_text() == "heard\n", "asked first"
    assert await gone(int((tmp_path / "own").read_text()))
    assert not await leftovers()


async def test_when_cancelled_the_group_is_killed(look: Looker, leftovers: Leftovers, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    task = asyncio.create_task(look(**sh(f"sleep 61 & echo $! > {ready}.tmp; mv {ready}.tmp {ready}; wait")))
    while not ready.exists():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(ready.read_text()))
    assert not await leftovers()


async def test_a_helper_left_in_the_background_ends_with_the_program(look: Looker, tmp_path: Path) -> None:
    started = time.monotonic()
    observation = await look(**sh(f"sleep 61 & echo $! > {tmp_path}/helper; echo done"))
    assert time.monotonic() - started < 2
    assert evidence(observation, "Output") == "done"
    assert await gone(int((tmp_path / "helper").read_text()))


async def test_a_daemon_that_keeps_the_pipes_open_holds_nothing_up(
    look: Looker, leftovers: Leftovers, tmp_path: Path
) -> None:
    started = time.monotonic()
    pid = tmp_path / "daemon"
    observation = await look(**sh(f"setsid sh -c 'echo $$ > {pid}; exec sleep 61' & while [ ! -s {pid} ]; do :; done"))
    assert time.monotonic() - started < 2
    assert values(observation)["exit_code"] == 0
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it moved to its own session: not the probe's any more
    assert not await leftovers()


async def test_output_written_by_a_helper_at_the_end_is_not_lost(look: Looker) -> None:
    observation = await look(**sh("(sleep 0.05; echo late) & echo early"))
    assert evidence(observation, "Output") == "early\nlate"


async def test_output_beyond_the_limit_is_read_and_dropped(look: Looker) -> None:
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=100_000, max_evidence_chars=1000)
    observation = await look(**sh("seq 1 100000; exit 3"))
    seen = values(observation)
    assert (seen["exit_code"], seen["lines"]) == (3, 100_000)
    shown = next(e for e in observation.evidence if e.title.startswith("Output"))
    assert shown.title == "Output (588895 bytes, cut)"
    assert len(shown.text) <= 500


async def test_one_that_writes_without_end_is_stopped(look: Looker, leftovers: Leftovers) -> None:
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=10_000)
    with pytest.raises(ProbeError, match="wrote more than 640000 bytes and was stopped") as caught:
        await look(**sh("exec yes"))
    assert caught.value.kind == "limit"
    assert not await leftovers()


async def test_binary_output_is_made_visible(look: Looker) -> None:
    observation = await look(**sh(r"printf '\377\000\033[31mred\n'"))
    assert evidence(observation, "Output") == "\N{REPLACEMENT CHARACTER}" * 3 + "[31mred"


async def test_many_at_once_leave_nothing_behind(look: Looker, leftovers: Leftovers) -> None:
    before = len(os.listdir("/proc/self/fd"))
    observations = await asyncio.gather(*(look(**sh(f"exit {n}")) for n in range(30)))
    assert [values(o)["exit_code"] for o in observations] == list(range(30))
    assert not await leftovers()
    assert len(os.listdir("/proc/self/fd")) <= before


# measures out of the output


async def test_extracting_by_pattern(look: Looker) -> None:
    observation = await look(
        **sh(
            "echo 'queued: 12'; echo 'took 350 of them'; echo 'size 1.5GiB'; echo 'use 81%'; echo mode=fast;"
            " echo 'lag 7 ms' >&2",
            extract={
                "queued": r"^queued: (\d+)$",
                "took": {"pattern": r"took (\d+)", "unit": "ms"},
                "size": r"size (\S+)",
                "use": {"pattern": r"use (\d+)%", "unit": "%"},
                "mode": {"pattern": r"mode=(\w+)", "unit": "text"},
                "lag": r"lag (.*)",
                "absent": r"never said: (\d+)",
            },
        )
    )
    found = {m.name: (m.value, m.unit) for m in observation.measurements if m.name not in ("duration", "lines")}
    assert found == {
        "exit_code": (0, Unit.COUNT),
        "queued": (12, None),
        "took": (0.35, Unit.SECONDS),
        "size": (1.5 * 2**30, Unit.BYTES),
        "use": (0.81, Unit.RATIO),
        "mode": ("fast", Unit.TEXT),
        "lag": (0.007, Unit.SECONDS),
    }


async def test_a_pattern_that_finds_no_number_is_a_failure_unless_the_program_failed(look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"a: what the pattern found is not a number: 'word' .*unit: text") as caught:
        await look(**sh("echo a word", extract={"a": "a (.*)"}))
    assert caught.value.kind == "protocol"
    assert caught.value.evidence[0].text == "a word"
    assert values(await look(**sh("echo a word; exit 1", extract={"a": "a (.*)"})))["exit_code"] == 1
    with pytest.raises(ProbeError, match="'5MB' is in bytes, not in ms"):
        await look(**sh("echo 5MB", extract={"a": {"pattern": "(.*)", "unit": "ms"}}))


async def test_extracting_from_json(look: Looker) -> None:
    document = '{"ok": true, "none": null, "took": 12, "state": "ready", "q": [{"n": 1}, {"n": 2}], "size": "3"}'
    observation = await look(
        **sh(
            f"echo '{document}'",
            json={
                "ok": "$.ok",
                "none": "$.none",
                "gone": "$.gone",
                "took": {"path": "$.took", "unit": "ms"},
                "state": "$.state",
                "n": "$.q[*].n",
                "queues": "$.q.length()",
                "size": {"path": "$.size", "unit": "kB"},
            },
        )
    )
    seen = values(observation)
    assert {k: v for k, v in seen.items() if k not in ("duration", "lines", "exit_code")} == {
        "ok": 1,
        "took": 0.012,
        "state": "ready",
        "n{0}": 1,
        "n{1}": 2,
        "queues": 2,
        "size": 3000,
    }


async def test_output_that_is_no_json(look: Looker) -> None:
    with pytest.raises(ProbeError, match="the output is not JSON: Expecting value"):
        await look(**sh("echo oops", json={"a": "$.a"}))
    with pytest.raises(ProbeError, match=r"is no single value: point deeper, or at \.length\(\)"):
        await look(**sh("echo '{\"a\": []}'", json={"a": "$.a"}))
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=10)
    with pytest.raises(ProbeError, match="longer than what is kept"):
        await look(**sh('echo \'{"a": "0123456789"}\'', json={"a": "$.a"}))


def test_measures_follow_the_parameters() -> None:
    known = PROBE.measures_for(PROBE.Params(argv=["x"], extract={"t": {"pattern": "(.)", "unit": "ms"}, "n": "(.)"}))
    assert known is not None
    assert (known["t"].unit, known["n"].unit) == (Unit.SECONDS, None)
    assert "plugin_status" not in known
    assert PROBE.measures_for(PROBE.Params(argv=["x"], format="plugin")) is None


# monitoring plugins

PLUGIN_TEXT = """DISK WARNING - free space: / 3326 MB (56%) | /=2643MB;5948;5958;0;5968 'my "disk"'=12KB
/boot 68 MB (69%)
/home 69357 MB (27%) | time=350ms;1;2 hits=7c load=0.42 lost=5%;; 'it''s'=1 unknown=U odd=abc
more=3,5s"""


def test_performance_data_is_read_into_base_units() -> None:
    output = parse_plugin_output(PLUGIN_TEXT)
    assert output.summary == "DISK WARNING - free space: / 3326 MB (56%)"
    assert output.details.startswith("/boot 68 MB")
    assert {m.name: (m.value, m.unit) for m in output.measurements} == {
        "/": (2643e6, Unit.BYTES),
        'my "disk"': (12e3, Unit.BYTES),
        "time": (0.35, Unit.SECONDS),
        "hits": (7, Unit.COUNT),
        "load": (0.42, None),
        "lost": (0.05, Unit.RATIO),
        "it's": (1, None),
        "more": (3.5, Unit.SECONDS),
    }
    assert output.unread == ("odd=abc",)


@pytest.mark.parametrize("text", ["", "|", "no perfdata", "a | = b = c", "x | ''=", "\0|\n|", "OK|a=1|b=2"])
def test_any_text_is_a_plugins_output(text: str) -> None:
    parse_plugin_output(text)


@pytest.mark.parametrize("filler", ["a", "'", "''=", "a=", "=", "'a "])
def test_a_megabyte_of_anything_is_read_in_no_time(filler: str) -> None:
    started = time.process_time()
    parse_plugin_output("OK | " + filler * (1_000_000 // len(filler)))
    assert time.process_time() - started < 2


async def test_a_plugin_judges_and_measures(look: Looker) -> None:
    for status, note in ((0, ""), (1, "SWAP said - 42% free"), (2, "SWAP said - 42% free")):
        observation = await look(**sh(f"echo 'SWAP said - 42% free | free=42%;20;10'; exit {status}", format="plugin"))
        seen = values(observation)
        assert (seen["plugin_status"], seen["free"], observation.note) == (status, 0.42, note)
        assert "exit_code" not in seen
    warning, critical = PROBE.defaults[1].warning, PROBE.defaults[1].critical
    assert warning is not None
    assert critical is not None
    assert [(warning.holds(n), critical.holds(n)) for n in (0, 1, 2)] == [(False, False), (True, False), (False, True)]


async def test_a_plugin_that_does_not_know_is_unknown(look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"^could not open the file$") as caught:
        await look(**sh("echo could not open the file; exit 3", format="plugin"))
    assert caught.value.kind == "plugin"
    with pytest.raises(ProbeError, match=r"127 is none of a plugin's \(0 to 3\): \(the plugin said nothing\)"):
        await look(**sh("exit 127", format="plugin"))
