"""Whatever the bytes: a catalogue or a CatalogueError that says where, never anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.catalogue import CatalogueError
from tests.pure.catalogue_samples import WEB, catalogue, lines, read, write
from tests.pure.test_catalogue import FULL


def bomb(levels: int) -> str:
    first = "x-0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    rest = (f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, levels))
    return first + "".join(rest)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "the file is empty; expected sections"),
        ("# only a comment\n", 1, "the file is empty"),
        ("---\n", 1, "the file is empty"),
        ("- a\n", 1, "expected sections such as checks:, got a list"),
        ("word", 1, "expected sections such as checks:, got a single value"),
        ("x-a: 1\n---\nx-b: 2\n", 2, "a second YAML document begins here; write one document per file"),
        ("checks:\n\t- a", 2, "indent with spaces, not tabs"),
        ("x-a: 1\nx-b: [1, 2\nx-c: 3", 3, "not valid YAML"),
        (b"x-a: 1\nx-b: \xff\xfe\n", 2, "not UTF-8; save the file as UTF-8"),
        (b"x-a: 1\nx-b: \x00\n", 2, "not text: control characters"),
        ("x-a: {critical: > 24h}", 1, 'conditions need quotes: ">= 80%"'),
        ("x-a:\n  critical: >= 80%", 2, 'conditions need quotes: ">= 80%"'),
        ("x-a:\n  critical: != failed", 2, 'unknown YAML tag !=; a condition that begins with ! needs quotes: "!= x"'),
        ("x-a:\n  cron: */5 * * * *", 2, 'cron expressions need quotes: "*/5 * * * *"'),
        ("x-a: {url: ${URL}}", 1, '${...} inside { } or [ ] needs quotes: {url: "${URL}"}'),
        ("x-a: {limit: in [a, b]}", 1, 'conditions need quotes: "in [a, b]"'),
        ("x-a: @daily", 1, "a text that begins with @, % or ` needs quotes"),
        ("x-a: one: two", 1, "a text that holds ': ' needs quotes"),
        ("x-a: !custom b", 1, "unknown YAML tag !custom"),
        ("x-a: !!python/object:os.system {}", 1, "unknown YAML tag python/object:os.system"),
        ("x-a: &one 1\nx-b: *onne", 2, "unknown alias *onne; did you mean 'one'?"),
        ("x-a: &a [*a]", 1, "the alias *a refers to itself"),
        ("x-a: &a {b: {c: *a}}", 1, "the alias *a refers to itself"),
        ("x-a: {b: 1, b: 2}", 1, "duplicate key 'b'; first written in line 1"),
        ("checks: []\nx-a: 1\nchecks: []", 3, "duplicate key 'checks'; first written in line 1"),
        ("x-a: {<<: 5}", 1, "<< merges mappings only; expected <<: *anchor"),
        ("x-a: {? [a] : b}", 1, "a key must be a word"),
        ("x-a: " + "[" * 200 + "]" * 200, 1, "nested deeper than 100 levels"),
        ("x-a: " + "[" * 300_000, 1, "nested deeper than 100 levels"),
        ("x-a: " + "- " * 100_000, 1, ""),
        ("x-a:\n" + "- " * 100_000, 2, "nested deeper than 100 levels"),
        (bomb(12), 6, "its aliases expand to more than a catalogue can sensibly hold"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str | bytes, line: int, expected: str) -> None:
    (told,) = lines(tmp_path, text)
    assert told.startswith(f"demo/system.yaml:{line}: ")
    assert expected in told


def test_chains_of_aliases_are_bounded_too(tmp_path: Path) -> None:
    chain = "x-0: &a0 [x]\n" + "".join(f"x-{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
    assert "nested deeper" in lines(tmp_path, chain)[0]


def test_aliases_in_earnest_pass(tmp_path: Path) -> None:
    shared = "x-h: &h {" + ", ".join(f"K{i}: v" for i in range(20)) + "}\n"
    checks = "".join(
        f"- {{name: c{i}, every: 1m, probe: {{type: web, url: 'http://x', headers: *h}}}}\n" for i in range(2000)
    )
    assert len(catalogue(tmp_path, shared + "checks:\n" + checks).checks) == 2000


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    write(
        tmp_path, {"a/system.yaml": "system: {titel: x}", "a/b.yaml": "[", "a/c.yaml": "checks: 5", "a/d.yaml": b"\xff"}
    )
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path)
    assert [Path(p.file).name for p in caught.value.problems] == ["b.yaml", "c.yaml", "d.yaml", "system.yaml"]


def test_utf_16_with_its_mark_and_windows_line_ends_are_yaml(tmp_path: Path) -> None:
    text = f"checks:\r\n- name: a\r\n  every: 1m\r\n  {WEB}\r\n"
    assert catalogue(tmp_path, text.encode("utf-16")).checks
    assert catalogue(tmp_path, b"\xef\xbb\xbf" + text.encode()).checks


def test_files_that_are_no_files(tmp_path: Path) -> None:
    folder = write(tmp_path, {"demo/system.yaml": "x-a: 1"}) / "demo"
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "folder.yaml").mkdir()
    assert read(folder).systems


SEED = "".join(f"{line[4:]}\n" for line in FULL.splitlines())
FRAGMENTS = (
    "null", "[]", "{}", "~", "*x", "&x ", "<<: ", "- ", ": ", "\n", "\t", "${A}", "${", "'", '"', "99999999999", "-1",
    ".nan", ".inf", "1e999", "!!int ", "? ", "#", "| ", "> ", "\x85", "\u2028", "é", "\ud800", "on", "5MB",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The full example with a few pieces cut, doubled, moved or overwritten."""
    text = SEED
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        piece = draw(st.sampled_from(FRAGMENTS) | st.text(max_size=5) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text.encode("utf-8", "surrogatepass")


def load_or_tell(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert catalogue(Path(folder), data, A="value").systems
            return
        except CatalogueError as error:
            problems = error.problems
    assert problems
    assert all(p.message and p.file and p.line >= 0 for p in problems)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_mutations_load_or_are_told(data: bytes) -> None:
    load_or_tell(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_told(data: bytes) -> None:
    load_or_tell(data)


VALUES = st.recursive(
    st.sampled_from(
        ["null", "true", "1", "-1", ".nan", "1e400", "''", "x", '"> 1"', '"${A}"', "5m", "'*'", "demo/queue"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]")
        | st.dictionaries(
            st.sampled_from(["name", "type", "url", "measure", "critical", "after", "x"]), inner, max_size=3
        ).map(lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}")
    ),
    max_leaves=6,
)
KEYS = sorted(
    {word for line in SEED.splitlines() for word in [line.strip("- ").partition(":")[0]] if word.isidentifier()}
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_under_any_key_loads_or_is_told(key: str, value: str) -> None:
    changed = [
        f"{line[: len(line) - len(line.lstrip(' -'))]}{key}: {value}"
        if line.strip("- ").startswith(f"{key}:")
        else line
        for line in SEED.splitlines()
    ]
    load_or_tell("\n".join(changed).encode())
