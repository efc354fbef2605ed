"""The first thing a newcomer tries: run the sandbox, break something, be told, mend it, be told again."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from healthd.sandbox.world import WORLDS, world_class
from tests.servers.process import Process, free_port
from tests.servers.sandbox import HEALTHD, PROJECT, Sandbox, run, until

NewSandbox = Callable[..., Sandbox]
CHANNELS = {"Slack", "PagerDuty", "webhook"}
LIGHT = "social-live"  # the one that takes least to start, with PostgreSQL, Redis and AWS: for what is so of each


@pytest.fixture
def new_sandbox(tmp_path: Path) -> Iterator[NewSandbox]:
    """`new_sandbox("--port", ..., env=...)`; ended with the test."""
    made: list[Sandbox] = []

    def make(*options: str, **more: Any) -> Sandbox:
        made.append(Sandbox(tmp_path, *options, **more))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.stop()


REDIS = ("redis-ping", "backend-redis")  # one incident, of the check that notices it first


def told(sandbox: Sandbox, event: str, *checks: str) -> set[str]:
    """The channels that accepted a message of that kind about one of these checks."""
    return {
        message["channel"]
        for message in sandbox.messages()
        if not message["refused"]
        and event in message["summary"].lower()
        and any(check in str(message["body"]) for check in checks)
    }


def heard(sandbox: Sandbox, event: str, channels: set[str]) -> None:
    """Wait until these channels have been told so of Redis; otherwise say what they were told."""
    try:
        until(lambda: told(sandbox, event, *REDIS) == channels, f"{channels} told: {event}", 60)
    except AssertionError as never:
        seen = [(m["channel"], m["summary"], m["refused"]) for m in sandbox.messages()]
        raise AssertionError(f"{never}: {seen}\n{sandbox.said()}") from None


def descendants(sandbox: Sandbox) -> list[psutil.Process]:
    return psutil.Process(sandbox.process.pid).children(recursive=True)


def data_folder(children: list[psutil.Process]) -> Path:
    """Where the servers' data is: PostgreSQL was started in its part of it."""
    return next(Path(child.cmdline()[2]).parents[1] for child in children if "-D" in child.cmdline())


def test_an_incident_is_opened_told_and_resolved(new_sandbox: NewSandbox) -> None:
    port = free_port()
    sandbox = new_sandbox("--port", str(port)).start()
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).status == 200
    assert f"http://127.0.0.1:{port}" in sandbox.said()

    broken = sandbox.call("break", "redis-down")
    assert "syncwatch/redis-ping" in broken.stdout
    heard(sandbox, "firing", {"Slack", "webhook"})
    heard(sandbox, "trigger", {"PagerDuty"})
    until(lambda: "PagerDuty  trigger: [SEV" in sandbox.said(), "the terminal shows what the inbox received")

    assert sandbox.call("mend", "redis-down").returncode == 0
    heard(sandbox, "resolved", {"Slack", "webhook"})
    heard(sandbox, "resolve:", {"PagerDuty"})

    messages = sandbox.messages()
    assert [m["refused"] for m in messages if m["refused"]] == []
    pages = [m["body"] for m in messages if m["channel"] == "PagerDuty"]
    about_redis = [page for page in pages if any(f"/{check}/" in page["dedup_key"] for check in REDIS)]
    # what its diagnosis found follows as the same alert once more
    assert list(dict.fromkeys(page["event_action"] for page in about_redis)) == ["trigger", "resolve"]
    assert about_redis[-1]["event_action"] == "resolve"
    assert len({page["dedup_key"] for page in about_redis}) == 1
    assert [page for page in pages if "/service-ready/" in page["dedup_key"]] == [], "it depends on Redis: one incident"


def test_works_without_installed_servers(new_sandbox: NewSandbox) -> None:
    """Wheels alone: neither Prometheus nor Redis on PATH."""
    sandbox = new_sandbox("--port", str(free_port()), env={"PATH": "/nonexistent"}).start()
    assert "stand-in for Prometheus" in sandbox.said()
    sandbox.call("break", "app-errors")
    until(lambda: told(sandbox, "trigger", "error-rate-5xx") == {"PagerDuty"}, "errors are noticed", 40)


def test_kill_9_leaves_nothing_running(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("--port", str(free_port()), system=LIGHT).start()
    children = descendants(sandbox)
    data = data_folder(children)
    names = " ".join(child.name() for child in children)
    assert "postgres" in names
    assert "redis-server" in names
    sandbox.process.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=15)
    assert alive == []
    assert "no sandbox is running" in sandbox.call("status").stderr
    assert new_sandbox("--port", str(free_port()), system=LIGHT).start(), "the folder can be used again"
    assert not data.exists(), "the next one removes what the killed one had to leave"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_all_of_it(new_sandbox: NewSandbox, sig: signal.Signals) -> None:
    sandbox = new_sandbox("--no-daemon", system=LIGHT).start()
    children = descendants(sandbox)
    data = data_folder(children)
    assert sandbox.process.stop(sig) == 0
    assert [child for child in children if child.is_running()] == []
    assert not data.exists()
    assert sorted(path.name for path in sandbox.folder.iterdir()) == ["env", "logs"]


def test_is_ended_from_another_terminal(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("--no-daemon", system=LIGHT).start()
    assert sandbox.call("stop").returncode == 0
    until(lambda: not sandbox.process.running(), "it ends")
    again = sandbox.call("stop")
    assert (again.returncode, "no sandbox is running" in again.stderr) == (3, True)


def test_refuses_a_taken_port(new_sandbox: NewSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = new_sandbox("--port", str(taken.getsockname()[1]))
        sandbox.process.start()
        until(lambda: not sandbox.process.running(), "it refuses")
    assert "choose another for healthd with --port" in sandbox.said()


def test_a_catalogue_that_is_not_right_is_shown(new_sandbox: NewSandbox, tmp_path: Path) -> None:
    for system in ("host", LIGHT):
        (tmp_path / "checks" / system).mkdir(parents=True)
        (tmp_path / "checks" / system / "system.yaml").write_text(f"system: {{name: {system}, titel: x}}\n")
    sandbox = new_sandbox("--port", str(free_port()), "--checks", str(tmp_path / "checks"), system=LIGHT)
    sandbox.process.start()
    until(lambda: not sandbox.process.running(), "it gives up")
    assert sandbox.process.popen is not None
    assert sandbox.process.popen.returncode == 3
    assert "titel" in sandbox.said()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox without a daemon, for what needs no more."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), "--no-daemon").start()
    yield sandbox
    sandbox.stop()


def test_the_catalogue_is_content_with_a_healthy_production(running: Sandbox) -> None:
    done = running.healthd("validate", "checks/host", "checks/syncwatch")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("break", "redis-doun"), "did you mean redis-down?"),
        (("break", "xyz"), "healthd sandbox list"),
        (("mend", "redis-down"), "redis-down is not broken"),
        (("mend", "redis-doun"), "did you mean redis-down?"),
        (("start", "--no-daemon"), "runs here already"),
        (("start", "syncwach"), "did you mean syncwatch?"),
    ],
)
def test_says_what_is_wrong(running: Sandbox, words: tuple[str, ...], said: str) -> None:
    done = running.call(*words)
    assert done.returncode == 3
    assert said in done.stderr


def test_a_fault_is_broken_once(running: Sandbox) -> None:
    assert running.call("break", "disk-full").returncode == 0
    again = running.call("break", "disk-full")
    assert (again.returncode, "broken already" in again.stderr) == (3, True)
    assert "disk-full" in running.call("status").stdout
    assert "[broken now]" in running.call("list").stdout
    assert running.call("mend").stdout.startswith("Mended: disk-full.")
    assert "Broken: nothing" in running.call("status").stdout


def test_mending_everything_works_in_any_order_of_breaking(running: Sandbox) -> None:
    for name in ("redis-memory-full", "transcoding-backlog", "redis-slow", "redis-down"):
        assert running.call("break", name).returncode == 0
    done = running.call("mend")
    assert done.returncode == 0, done.stderr
    checked = running.healthd("check", "syncwatch/redis-memory", "syncwatch/transcoding-queue")
    assert checked.returncode == 0, checked.stdout


def test_what_needs_redis_says_so_when_it_is_down(running: Sandbox) -> None:
    running.call("break", "redis-down")
    try:
        done = running.call("break", "redis-memory-full")
        assert (done.returncode, "mend redis-down first" in done.stderr) == (3, True)
        done = running.call("break", "transcoding-backlog")
        assert done.returncode == 3
        assert "transcoding-backlog cannot be broken now" in done.stderr
        assert "broken is redis-down: mend that first" in done.stderr
    finally:
        assert running.call("mend").returncode == 0
    checked = running.healthd("check", "syncwatch/transcoding-queue")
    assert checked.returncode == 0, checked.stdout


def test_secrets_are_the_owners_alone(running: Sandbox) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in running.folder.glob("*") if path.is_file()}
    assert modes == {"env": "0o600", "state.json": "0o600"}


@pytest.mark.parametrize("system", WORLDS)
def test_lists_what_can_be_broken_of_each_system(system: str) -> None:
    done = run("sandbox", "list", system, env=os.environ)
    assert done.returncode == 0
    for fault in world_class(system).faults:
        assert fault in done.stdout


def _up(output: Path) -> bool:
    return "Up in" in output.read_text()


def test_several_run_side_by_side(tmp_path: Path) -> None:
    """In one folder, under their usual names; the short form starts one too."""
    checks = ("--checks", str(PROJECT / "checks"))
    env = {**os.environ, "PATH": os.environ["PATH"]}
    names = ("syncwatch", "synk")
    processes = [
        Process([*HEALTHD, "sandbox", name, "--no-daemon", *checks], tmp_path / name, cwd=tmp_path, env=env)
        for name in names
    ]
    try:
        for name, process in zip(names, processes, strict=True):
            process.start()
            until(partial(_up, tmp_path / name), f"{name} comes up", 90)
        unclear = run("sandbox", "status", env=env, cwd=tmp_path)
        assert (unclear.returncode, "--system" in unclear.stderr) == (3, True)
        assert "Sandbox of synk" in run("sandbox", "status", "--system", "synk", env=env, cwd=tmp_path).stdout
        assert sorted(path.name for path in tmp_path.glob(".sandbox*")) == [".sandbox", ".sandbox-synk"]
        processes[0].stop()
        assert "Sandbox of synk" in run("sandbox", "status", env=env, cwd=tmp_path).stdout
    finally:
        for process in processes:
            process.stop(timeout=30)
