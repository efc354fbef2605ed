"""Every command of README.md and docs/ is typed: getting-started from its beginning to its end, then all others against
the daemon it leaves behind. What a program may do here, and why, stands in tests/documents/programs.py; one that is not
named there is not found, and fails."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.documents.pages import ROOT, Command, blocks, commands, pages
from tests.documents.reader import GETTING_STARTED, Reader
from tests.documents.terminal import Terminal
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.timeout(300)  # the first test waits for all of getting-started
# their exit code is what they found: 0 OK, 1 WARNING, 2 CRITICAL; 3 is wrong usage
LEVELS = re.compile(r"^healthd (check|evaluate|incidents|incident|report|coverage|diagnose|route-test)\b")
# outputs of a catalogue or a sandbox that only the page shows
OTHER_WORLDS = {"coverage.md", "notifications.md", "sandbox.md"}
PAGES = {"healthz", "readyz", "metrics", "incidents", "silences", "windows", "attestations", "schedule", "reports",
         "availability", "coverage", "configuration", "audit", "systems"}  # fmt: skip
API = ROOT / "docs/api.md"
PARAMETER = re.compile(r"\{.*?\}")
OTHERS = [
    pytest.param(command, id=command.place)
    for page in pages()
    if page != GETTING_STARTED
    for block in blocks(page)
    if block.language in ("sh", "console")
    for command in commands(block)
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Reader]:
    """After getting-started, with what the other pages name."""
    found = Reader(tmp_path_factory.mktemp("reader"), redis_server.url)
    try:
        found.get_started(lambda command, terminal: check(found, command, terminal))
        found.until(lambda: found.told() >= {"firing", "acknowledged", "resolved"}, "the end told to all three")
        found.settle_in()
        yield found
    finally:
        found.close()


def check(reader: Reader, command: Command, terminal: Terminal) -> None:
    """Type it; it must end well and say what the page shows."""
    done = terminal.type(reader.here(command.text))
    allowed = (0, 1, 2) if LEVELS.match(command.text) else (0,)
    assert done.returncode in allowed, f"{command.place}: {command.text}\nexit code {done.returncode}\n{done.stdout}"
    assert "Traceback" not in done.stdout, done.stdout
    if command.page.name in OTHER_WORLDS:
        return
    said = " ".join(done.stdout.split())
    missing = [line for line in command.output if " ".join(reader.here(line).split()) not in said]
    assert not missing, f"{command.place}: {command.text}\nsays\n{done.stdout}\nand not {missing}"


def test_there_is_much_to_type() -> None:
    assert len(OTHERS) > 60


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("wget https://shop.example/", "wget: command not found"),
        ("healthd chekc shop/website", "No such command"),
        ("healthd next --untill 3d", "No such option"),
        ("healthd run --prot 1", "No such option"),
        ("healthd sandbox break redis-dwon", "no sandbox has the fault"),
        ("healthd check syncwatch/redis-pong", "has no syncwatch/redis-pong"),
        ("make rnu", "No rule to make target"),
        ("docker build -t healthd --target restroe .", "has the stages"),
        ("docker swarm init", "no rule for this command"),
        ("kubectl rollout status deployment/helthd", "is not of the manifests"),
        ("kubectl logs --tial=5 deployment/healthd", "unknown options"),
        ("helm install healthd deploy/helm/healthd --set replicas=2", "PostgreSQL"),
        ("curl -s localhost:9780/api/v1/chekcs", "Not Found"),
        ("cat deploy/prometheus/ruels.yaml", "No such file"),
    ],
)
def test_a_command_that_does_not_work_is_found_out(text: str, why: str, reader: Reader) -> None:
    done = reader.terminal().type(reader.here(text))
    assert done.returncode not in (0, 1, 2) or not text.startswith("healthd")
    assert done.returncode != 0
    assert why in done.stdout


@pytest.mark.parametrize("command", OTHERS)
def test_a_command_does_what_its_page_says(command: Command, reader: Reader) -> None:
    check(reader, command, reader.terminal())


def test_every_operation_of_the_api_is_told_of_and_every_one_told_of_exists(reader: Reader) -> None:
    described = reader.api.get("/api/openapi.json").json()["paths"]
    there = {(method.upper(), f"/api{path}") for path, kinds in described.items() for method in kinds}
    told = {pair for line in API.read_text().splitlines() for pair in operations(line)}
    assert {(method, PARAMETER.sub("{}", path)) for method, path in there} == told - {("POST", "/-/reload")}


def operations(line: str) -> Iterator[tuple[str, str]]:
    """Of a line of the table: `GET`, `POST /api/v1/a/{id}`, then `POST .../end` and paths that are read."""
    if not re.match(r"\| `[A-Z]+[ `]", line):
        return
    named = re.findall(r"`(?:([A-Z]+) )?((?:/api/v1/|/-/|\.\.\./)[^`]*)`", line)
    if not named:
        return
    base = PARAMETER.sub("{}", named[0][1])
    for method in re.findall(r"`([A-Z]+)`", line):
        yield method, base
    for method, path in named:
        short = PARAMETER.sub("{}", path)
        over = base.rpartition("/")[0] if short.startswith(".../{}") else base
        yield method or "GET", short.replace("...", over)


def test_the_query_of_storage_answers(reader: Reader) -> None:
    (block,) = (b for b in blocks(ROOT / "docs/storage.md") if b.language == "sql")
    query = block.text.partition("-- PostgreSQL")[0].replace("shop/web", "shop/website")
    done = reader.terminal().type(f"sqlite3 healthd.db <<'SQL'\n{query}\nSQL")
    assert re.search(r"^\d{4}-\d\d-\d\d [\d:]+\|", done.stdout, re.MULTILINE), done.stdout


def test_what_the_pages_lead_to_is_there(reader: Reader) -> None:
    """Addresses of the daemon named in words: `/healthz`, `/systems/healthd`."""
    named = {w for page in pages() for w in re.findall(r"`(/[a-z][a-z/.-]*)`", page.read_text())}
    paths = {path for path in named if path.split("/")[1] in PAGES}
    assert len(paths) > 12
    answers = {path: reader.api.get(path, follow_redirects=True).status_code for path in paths}
    assert not {path: code for path, code in answers.items() if code != 200}
