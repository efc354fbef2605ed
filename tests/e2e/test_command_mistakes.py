"""What the commands say when something is mistyped, missing or not there, and that their exit codes stay right."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from healthd.cli import cli
from tests.e2e.daemon import Daemon
from tests.servers.nginx import NginxServer

CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
cadences: {yearly: {on: yearly, at: "09:00"}}
runbook:
  - {document: guide, title: Guide, items: [{id: a, heading: "Daily [/bold]", title: "[red]A thing[/]", fate: check}]}
checks:
  - {name: web, every: 1h, cadence: yearly, probe: {type: tcp, host: 127.0.0.1, port: 9}, severity: SEV1}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that has nothing to tell."""
    found = Daemon(tmp_path_factory.mktemp("mistakes"), CATALOGUE)
    found.start()
    yield found
    found.kill()
    found.http.close()


@pytest.fixture
def healthd(daemon: Daemon) -> Run:
    """`healthd("list")`: a command for that daemon."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "healthd", *words], cwd=daemon.folder, capture_output=True, text=True, timeout=60,
            env={**daemon.environment(), "HEALTHD_PORT": str(daemon.port), **variables}, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("incidents --system shpo", "did you mean shop?"),
        ("incidents --url nonsense", "write it like http://127.0.0.1:9780"),
        ("incidents --url http://127.0.0.1:9", "Connection refused; is `healthd run` running there?"),
        ("incidents --url http://nowhere.invalid", "no answer from http://nowhere.invalid: "),
        ("incident ../checks", "'../checks' is no incident"),
        ("ack ..", "'..' is no incident"),
        ("report shop yearli", "did you mean shop/yearly?"),
        ("report shop yearly", "no report of shop yearly yet"),
        ("evaluate shop/web up=1 --held soon", "--held: 'soon' is not a duration"),
        ("silence add web --reason x --for soon", "--for: 'soon' is not a duration"),
        ("silence add web --reason x --for 1h --until 2030-01-01", "--for and --until"),
        ("window add shop --reason x", "--for or --until"),
        ("window add shop --reason x --for 1h --notice soon", "--notice: 'soon' is not a duration"),
        ("route-test --system shop --severity SEV2", "no severity 'SEV2' in shop; there is SEV1, SEV3"),
        ("route-test --system shop --kind report --cadence daily", "no cadence 'daily' in shop; there is yearly"),
    ],
)
def test_what_is_mistyped_is_named_with_what_would_be_right(daemon: Daemon, words: str, said: str) -> None:
    done = CliRunner().invoke(cli, words.split(), env=daemon.environment())
    assert (done.exit_code, said in done.output) == (3, True), done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [("check --cadence yearl", "there is yearly"), ("alive --timeout 0", "not in the range")],
)
def test_wrong_words_are_code_3(healthd: Run, words: str, said: str) -> None:
    done = healthd(*words.split())
    assert (done.returncode, said in done.stderr) == (3, True), done.stderr


def test_a_template_is_not_left_unused_for_want_of_a_channel(daemon: Daemon) -> None:
    slack = {**daemon.environment(), "HEALTHD_SLACK_WEBHOOK_URL": "http://127.0.0.1:9/slack"}
    done = CliRunner().invoke(cli, ["notify-test", "--template", "message.j2"], env=slack)
    assert (done.exit_code, "which channel? There are slack;" in done.output) == (3, True), done.output


def test_what_is_no_daemon_is_told_apart(daemon: Daemon, nginx: NginxServer) -> None:
    elsewhere = {**daemon.environment(), "HEALTHD_PORT": str(nginx.port)}
    seen = CliRunner().invoke(cli, ["alive"], env=elsewhere, standalone_mode=False)
    assert (seen.return_value, "answers 404" in seen.output) == (2, True), seen.output
    for answer in ("", "/?", "/health?"):  # 404, a page, and JSON of something else
        done = CliRunner().invoke(cli, ["incidents", "--url", nginx.url + answer], env=elsewhere)
        assert (done.exit_code, "not healthd's API" in done.output) == (3, True), done.output


def test_this_machine_is_asked_past_a_proxy(healthd: Run) -> None:
    for words in (["alive", "--ready"], ["attest"]):
        done = healthd(*words, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9", no_proxy="")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", ["silence list", "window list", "attest", "next --until 1h"])
def test_an_empty_list_is_said(daemon: Daemon, words: str) -> None:
    done = CliRunner().invoke(cli, words.split(), env=daemon.environment(), standalone_mode=False)
    assert done.return_value == 0
    assert done.output.startswith(("no", "nothing")), done.output


def test_a_reader_who_leaves_does_not_change_the_exit_code(daemon: Daemon) -> None:
    script = f'({sys.executable} -m healthd check shop/web; echo "code $?" >&2) | true'
    done = subprocess.run(
        ["sh", "-c", script], cwd=daemon.folder, env=daemon.environment(), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr == "code 2\n"


def test_closed_outputs_do_no_harm(daemon: Daemon) -> None:
    script = f"{sys.executable} -m healthd check shop/web >&- 2>&-"
    assert (
        subprocess.run(["sh", "-c", script], cwd=daemon.folder, env=daemon.environment(), check=False).returncode == 2
    )


def test_brackets_of_a_runbook_are_text(healthd: Run) -> None:
    done = healthd("coverage")
    assert done.returncode == 1, done.stderr
    assert "guide: Daily [/bold]" in done.stdout
    assert "[red]A thing[/]" in done.stdout


@pytest.mark.parametrize("words", [[], ["silence"], ["window"]])
def test_every_command_is_told_in_a_line(words: list[str]) -> None:
    done = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80)
    assert "Commands:" in done.output
    assert "..." not in done.output.partition("Commands:")[2]


def test_an_id_is_in_one_piece_on_a_narrow_terminal(daemon: Daemon) -> None:
    daemon.http.post("/api/v1/checks/shop/web/run").raise_for_status()
    daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    [incident] = daemon.get("/api/v1/incidents?open=true")["incidents"]
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "healthd", "incidents"], env={**daemon.environment(), "COLUMNS": "60", "TERM": "dumb"},
        stdout=theirs, check=False,
    )  # fmt: skip
    os.close(theirs)
    first = os.read(ours, 10_000).decode().splitlines()[0]
    os.close(ours)
    assert (done.returncode, first.split()[:3]) == (2, [incident["id"], "CRITICAL", "SEV1"])
