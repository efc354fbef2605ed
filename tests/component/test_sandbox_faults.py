"""Every fault of the sandbox is noticed by the checks it names, and everything is well again after mending."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from healthd.sandbox.syncwatch.faults import FAULTS
from tests.servers.sandbox import Sandbox, until


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), "--no-daemon").start()
    try:
        # rates need two scrapes
        until(lambda: not bad(sandbox, "error-rate-5xx", "cpu-usage"), "the first rates are there")
        yield sandbox
    finally:
        sandbox.stop()


def levels(sandbox: Sandbox, *names: str) -> dict[str, str]:
    """The level each check finds now."""
    ids = [f"syncwatch/{name}" for name in names]
    done = sandbox.healthd("check", *ids, "--format", "json", SYNCWATCH_RATE_WINDOW="5s")
    assert done.stdout, done.stderr
    return {row["check"].removeprefix("syncwatch/"): row["level"] for row in json.loads(done.stdout)}


def bad(sandbox: Sandbox, *names: str) -> list[str]:
    return [name for name, level in levels(sandbox, *names).items() if level != "ok"]


@pytest.mark.parametrize("name", FAULTS)
def test_is_noticed_and_mended(sandbox: Sandbox, name: str) -> None:
    checks = FAULTS[name].noticed_by
    assert sandbox.call("break", name).returncode == 0
    try:
        until(lambda: sorted(bad(sandbox, *checks)) == sorted(checks), f"{name} is noticed by {checks}")
    finally:
        assert sandbox.call("mend", name).returncode == 0
    until(lambda: not bad(sandbox, *checks), f"all is well after mending {name}")


def test_the_catalogue_is_content_with_a_healthy_production(sandbox: Sandbox) -> None:
    done = sandbox.healthd("validate", "checks/host", "checks/syncwatch")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("break", "redis-doun"), "did you mean redis-down?"),
        (("break", "xyz"), "healthd sandbox list"),
        (("mend", "redis-down"), "redis-down is not broken"),
        (("mend", "redis-doun"), "did you mean redis-down?"),
        (("start", "--no-daemon"), "runs here already"),
    ],
)
def test_says_what_is_wrong(sandbox: Sandbox, words: tuple[str, ...], said: str) -> None:
    done = sandbox.call(*words)
    assert done.returncode == 3
    assert said in done.stderr


def test_a_fault_is_broken_once(sandbox: Sandbox) -> None:
    assert sandbox.call("break", "disk-full").returncode == 0
    again = sandbox.call("break", "disk-full")
    assert (again.returncode, "broken already" in again.stderr) == (3, True)
    assert "disk-full" in sandbox.call("status").stdout
    assert sandbox.call("mend").stdout.startswith("Mended: disk-full.")
    assert "Broken: nothing" in sandbox.call("status").stdout


def test_mending_everything_works_in_any_order_of_breaking(sandbox: Sandbox) -> None:
    for name in ("redis-memory-full", "transcoding-backlog", "redis-slow", "redis-down"):
        assert sandbox.call("break", name).returncode == 0
    done = sandbox.call("mend")
    assert done.returncode == 0, done.stderr
    until(lambda: not bad(sandbox, "redis-ping", "redis-memory", "transcoding-queue"), "Redis is well")


def test_what_needs_redis_says_so_when_it_is_down(sandbox: Sandbox) -> None:
    sandbox.call("break", "redis-down")
    try:
        done = sandbox.call("break", "redis-memory-full")
        assert (done.returncode, "mend redis-down first" in done.stderr) == (3, True)
    finally:
        assert sandbox.call("mend").returncode == 0


def test_secrets_are_the_owners_alone(sandbox: Sandbox) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in sandbox.folder.glob("*") if path.is_file()}
    assert modes == {"env": "0o600", "state.json": "0o600"}
