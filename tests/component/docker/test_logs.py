"""The probe docker_logs, on real logs and on frames cut anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.docker.frames import FrameError, Lines
from tests.component.docker.conftest import Look
from tests.component.looking import evidence, values
from tests.servers.docker import DockerEngine


async def test_lines_that_match(docker: DockerEngine, look: Look) -> None:
    docker.run("echo ok; echo ERROR one >&2; echo error two; echo 'error ignored'; printf 'error no end'", name="web")
    docker.wait("web")
    seen = await look("docker_logs", name="web", pattern="(?i)error", exclude="ignored")
    found = values(seen)
    assert (found["matches"], found["lines"], found["containers"], found["truncated"]) == (3, 5, 1, 0)
    assert found["container_matches{web}"] == 3
    assert found["ratio"] == pytest.approx(3 / 5)
    assert found["rate"] == pytest.approx(3 / 3600)
    assert set(evidence(seen, "newest matching lines").splitlines()) == {"ERROR one", "error two", "error no end"}


async def test_one_stream_only(docker: DockerEngine, look: Look) -> None:
    docker.run("echo out error; echo err error >&2; echo err error >&2", name="web")
    docker.wait("web")
    for stream, expected in (("stdout", 1), ("stderr", 2), ("both", 3)):
        assert values(await look("docker_logs", name="web", pattern="error", stream=stream))["matches"] == expected


async def test_only_what_is_recent(docker: DockerEngine, look: Look) -> None:
    docker.run("echo error", name="web")
    docker.wait("web")
    later = datetime.now(UTC) + timedelta(hours=2)
    seen = values(await look("docker_logs", name="web", pattern="error", now=later))
    assert (seen["matches"], seen["lines"]) == (0, 0)
    assert "ratio" not in seen
    assert values(await look("docker_logs", name="web", pattern="error", now=later, since="3h"))["matches"] == 1


async def test_several_containers_are_series(docker: DockerEngine, look: Look) -> None:
    docker.service("shop", "web", "echo error; echo error")
    docker.service("shop", "db", "echo fine")
    for name in ("shop-web-1", "shop-db-1"):
        docker.wait(name)
    seen = await look("docker_logs", project="shop", pattern="error")
    found = values(seen)
    assert (found["container_matches{shop-web-1}"], found["container_matches{shop-db-1}"]) == (2, 0)
    assert evidence(seen, "newest matching lines").startswith("shop-web-1: error")


async def test_secrets_in_samples_are_hidden(docker: DockerEngine, look: Look) -> None:
    docker.run(
        "echo 'error: cannot reach postgres://app:hunter22@db/shop'; printf 'error \\001\\033[31m\\n'", name="web"
    )
    docker.wait("web")
    shown = evidence(await look("docker_logs", name="web", pattern="error"), "newest matching lines")
    assert "postgres://app:<redacted>@db/shop" in shown
    assert "\x1b" not in shown


async def test_a_terminal_has_one_stream_without_frames(docker: DockerEngine, look: Look) -> None:
    docker.run("echo error; echo fine; echo error", name="web", options={"Tty": True})
    docker.wait("web")
    seen = await look("docker_logs", name="web", pattern="^error$")
    assert (values(seen)["matches"], values(seen)["lines"]) == (2, 3)


@pytest.mark.probe("docker_logs")
async def test_a_log_longer_than_wanted(docker: DockerEngine, look: Look) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo error number $i; i=$((i+1)); done"
    docker.run(script, name="web")
    docker.wait("web")
    seen = await look("docker_logs", name="web", pattern="error", max_bytes=20_000)
    found = values(seen)
    assert found["truncated"] == 1
    assert found["bytes"] == 20_000
    assert 0 < float(found["matches"]) < 3000
    assert seen.note == "only the oldest 20kB were read of web"
    assert values(await look("docker_logs", name="web", pattern="error"))["matches"] == 3000


async def test_a_very_long_line(docker: DockerEngine, look: Look) -> None:
    docker.run(
        "x=0123456789abcdef; i=0; while [ $i -lt 11 ]; do x=$x$x; i=$((i+1)); done; echo $x; echo end", name="web"
    )
    docker.wait("web")
    seen = values(await look("docker_logs", name="web", pattern="^[0-9a-f]{17}"))
    assert (seen["lines"], seen["matches"]) == (2, 1), "the engine itself parts lines after 16 kB: they are one again"


async def test_no_such_container(docker: DockerEngine, look: Look) -> None:
    with pytest.raises(ProbeError, match="no container called web") as caught:
        await look("docker_logs", name="web", pattern="error")
    assert caught.value.kind == "missing"


@pytest.mark.probe_failure("docker_logs")
async def test_a_log_that_cannot_be_read(docker: DockerEngine, look: Look) -> None:
    docker.run("echo error", name="mute", host={"LogConfig": {"Type": "none"}})
    docker.wait("mute")
    with pytest.raises(ProbeError, match="mute: configured logging driver does not support reading") as caught:
        await look("docker_logs", name="mute", pattern="error")
    assert caught.value.kind == "unsupported"


@pytest.mark.parametrize("wrong", [{"pattern": "("}, {"pattern": "x", "name": ()}, {"pattern": "x", "service": "web"}])
def test_parameters_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PROBES["docker_logs"].Params.model_validate({"name": "web", **wrong})


LOG = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=60)), max_size=20)


@given(LOG, st.lists(st.integers(1, 40), max_size=60))
def test_frames_may_be_cut_anywhere(log: list[tuple[str, bytes]], cuts: list[int]) -> None:
    sent = b"".join(
        bytes([1 if stream == "stdout" else 2, 0, 0, 0]) + len(content).to_bytes(4, "big") + content
        for stream, content in log
    )
    lines, blocks = Lines(framed=True), []
    for size in [*cuts, len(sent)]:
        piece, sent = sent[:size], sent[size:]
        blocks += list(lines.feed(piece))
    assert all(block.endswith(b"\n") for block in blocks), "whole lines only"
    found = [line for block in [*blocks, *lines.end()] for line in block.split(b"\n")]
    expected = [
        line
        for stream in ("stdout", "stderr")
        for line in b"".join(content for kind, content in log if kind == stream).split(b"\n")
    ]
    assert sorted(filter(None, found)) == sorted(filter(None, expected))


def test_bytes_that_are_no_frames() -> None:
    with pytest.raises(FrameError):
        list(Lines(framed=True).feed(b"<html><body>hello"))
