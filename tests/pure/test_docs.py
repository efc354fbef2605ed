"""What the pages say that can be held against the project without running it: names, paths, links, examples."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from healthd.cli import COMMANDS, cli
from healthd.loading import OWN_URL
from healthd.notify import CHANNELS
from healthd.sandbox.world import WORLDS
from healthd.settings import PREFIX, Settings
from tests.documents.examples import kind, mistakes, not_of_the_chart
from tests.documents.pages import LANGUAGES, ROOT, Block, anchors, blocks, commands, links, pages, words_in_code
from tests.documents.programs import command_of

DOCS = ROOT / "docs"
YAML = [pytest.param(b, id=b.place) for page in pages() for b in blocks(page) if b.language == "yaml"]
EVERYTHING = "\n".join(page.read_text() for page in pages())
SOURCES = {path: path.read_text() for path in sorted((ROOT / "healthd").rglob("*.py"))}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_every_block_says_what_it_is() -> None:
    """```sh is typed, ```console is typed and answered, ```text is neither."""
    assert not [f"{b.place}: {b.language!r}" for p in pages() for b in blocks(p) if b.language not in LANGUAGES]


@pytest.mark.parametrize("block", YAML)
def test_an_example_is_valid(block: Block, tmp_path: Path) -> None:
    what = kind(block)
    assert what, f"{block.place}: nobody knows what reads this"
    if what == "catalogue":
        assert not mistakes(block, tmp_path)
    elif what == "values":
        assert not not_of_the_chart(block)


@pytest.mark.parametrize("block", [pytest.param(b, id=b.place) for p in pages() for b in blocks(p)])
def test_a_block_can_be_read_by_its_language(block: Block) -> None:
    match block.language:
        case "json":
            json.loads(block.text)
        case "python":
            compile(block.text, block.place, "exec")
        case "sh" | "console":
            assert commands(block), "nothing to type"
        case "mermaid":
            assert re.match(r"(flowchart|sequenceDiagram|stateDiagram)", block.text)


def test_every_setting_named_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {f"{PREFIX}CONFIG", OWN_URL}
    named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", EVERYTHING))
    assert not {name for name in named if name not in known and name.removesuffix("_FILE") not in known}


def test_every_setting_stands_in_running() -> None:
    text = (DOCS / "running.md").read_text()
    missing = {name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in text}
    assert not missing


def test_every_metric_named_exists_and_every_one_is_named() -> None:
    """`healthd_check_...` and the like; what stands for several ends in an underscore."""
    exposed = (ROOT / "healthd/metrics.py", *(ROOT / "healthd/services").glob("*.py"))
    known = {n for path in exposed for n in re.findall(r'"(healthd_[a-z_]+[a-z])"', path.read_text())}
    named = {word for page in pages() for word in re.findall(r"\bhealthd_[a-z_]+\b", page.read_text())}
    running = (DOCS / "running.md").read_text()
    assert len(known) > 20
    assert not {n for n in known if n not in running}
    tables = set(re.findall(r'"(healthd_[a-z_]+)"', SOURCES[ROOT / "healthd/store/schema.py"]))
    words = {"healthd_message", "healthd_worker"}  # Slack's event_type, a role of PostgreSQL
    parts = ("_bucket", "_sum", "_count")
    for name in named - known - tables - words:
        base = next((name.removesuffix(part) for part in parts if name.endswith(part)), name)
        assert base in known or name.endswith("_"), name


def unknown_options(text: str) -> list[str]:
    """Of `healthd ...` as it stands in a sentence: sub-commands and options that do not exist."""
    try:
        words = shlex.split(text, comments=True)[1:]
    except ValueError:
        return [text]
    found, rest = command_of(words)
    if isinstance(found, click.Group) and rest and re.fullmatch(r"[a-z][a-z-]+", rest[0]) and rest[0] not in WORLDS:
        return [text]
    known = {option for p in found.params for option in (*p.opts, *p.secondary_opts)} | {"--help", "-h", "--version"}
    return [f"{text}: {word}" for word in rest if word.startswith("--") and word.partition("=")[0] not in known]


def test_every_command_named_in_a_sentence_exists() -> None:
    said = {w for page in pages() for w in words_in_code(page) if w.startswith("healthd ") and ": " not in w}
    assert len(said) > 30
    assert not [problem for text in sorted(said) for problem in unknown_options(text)]


def every_command(group: click.Group = cli, before: str = "healthd") -> list[str]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        under = group.get_command(context, name)
        inner = isinstance(under, click.Group)
        found += every_command(under, f"{before} {name}") if inner else [f"{before} {name}"]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("name", every_command())
def test_every_command_stands_in_the_pages(name: str) -> None:
    assert re.search(rf"\b{name}\b", EVERYTHING)


@pytest.mark.parametrize("type_", CHANNELS)
def test_every_channel_has_a_page(type_: str) -> None:
    index = (DOCS / "notifications.md").read_text()
    (line,) = re.findall(rf"^\| `{type_}` \|.*\[[^\]]*\]\(([^)]*)\) \|$", index, re.MULTILINE)
    page, _, _ = line.partition("#")
    assert f"type: {type_}" in (DOCS / page).read_text()


def test_paths_in_the_pages_exist() -> None:
    """`healthd/...`, `deploy/...`, `docs/...`, `tests/...` and `.ci/...` in `code` are files of this project."""
    named = {
        word
        for page in pages()
        for word in words_in_code(page)
        if re.fullmatch(r"(healthd|deploy|docs|tests|\.ci)/[\w./*-]+", word)
    }
    assert named
    own = set(re.findall(r"^\| `(healthd/\w+)` \|", (DOCS / "running.md").read_text(), re.MULTILINE))  # its checks
    assert not [word for word in sorted(named - own) if not list(ROOT.glob(word.rstrip("/")))]


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word.split()[1] for page in pages() for word in words_in_code(page) if re.match(r"make [a-z-]+", word)}
    assert named >= {"run", "bench"}
    assert named <= targets


def test_log_events_told_of_are_logged() -> None:
    """Troubleshooting quotes the log: `store_unavailable`."""
    page = DOCS / "troubleshooting.md"
    events = {w for w in words_in_code(page) if re.fullmatch(r"[a-z]+(_[a-z]+)+", w) and not w.startswith("healthd_")}
    code = "\n".join(SOURCES.values())
    made = tuple(re.findall(r'"([a-z]+_)" \+|f"([a-z]+_)\{', code))  # "incident_" + what happened
    begun = tuple(part for pair in made for part in pair if part)
    assert not {e for e in events if f'"{e}"' not in code and f"{e}=" not in code and not e.startswith(begun)}


def test_messages_told_of_are_said() -> None:
    """Sentences in `code` that troubleshooting quotes: their words stand in the sources, values aside."""
    quoted = [
        word for word in words_in_code(DOCS / "troubleshooting.md") if re.search(r"[a-z]{3,} [a-z]+ [a-z]+", word)
    ]
    code = " ".join(re.sub(r"[\"'{}\\`]", " ", "\n".join(SOURCES.values())).split())
    missing = []
    for sentence in quoted:
        if sentence.startswith(("healthd ", "kubectl ")):
            continue
        parts = re.findall(r"(?<![A-Za-z])[a-z][a-z ,]{14,}", re.sub(r"[`:]", " : ", sentence))
        missing += [part for part in parts if part.strip() not in code]
    assert len(quoted) > 5
    assert not missing


def test_the_index_leads_to_every_page() -> None:
    """docs/README.md: each page, or the index of its folder."""
    index = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "README.md")}
    missing = [page for page in DOCS.glob("*.md") if page.name != "README.md" and page not in index]
    assert not missing
    for folder in ("probes", "channels", "decisions", "sandbox"):
        assert any(target.is_relative_to(DOCS / folder) for target in index)
    assert len(COMMANDS) > 20


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180
