"""Counting matching lines in a stream gives what looking at each line would, wherever it is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes.logs.stream import LINE_MAX, LineScanner, readable

PATTERNS = (
    "ERROR", "a+b", "^a", "b$", "^$", r"\s", r"a\s*b", r"[^b]+", "a|b", "x*", r"\Aa", r"b\Z", "(?!.*b)a", "(?<=a)b",
    "é",
)  # fmt: skip


@given(
    st.lists(st.text("abé \t", max_size=6), max_size=12),
    st.sampled_from(PATTERNS),
    st.integers(1, 20),
    st.booleans(),
)
def test_a_stream_gives_what_lines_give(lines: list[str], pattern: str, size: int, ended: bool) -> None:
    text = "\n".join(lines) + ("\n" if ended else "")
    data = text.encode()
    scanner = LineScanner({"": pattern}, keep=100)
    for start in range(0, len(data), size):
        scanner.feed(data[start : start + size])
    scanner.finish()
    expected = text.split("\n")[: -1 if text.endswith("\n") or not text else None]
    matching = [line for line in expected if re.search(pattern, line) is not None]
    assert (scanner.lines, scanner.matches[""]) == (len(expected), len(matching))
    assert [line.decode() for line in scanner.samples] == matching


def test_samples_are_the_last_lines_fit_to_be_readable() -> None:
    scanner = LineScanner({"a": "x", "b": "y"}, keep=2)
    scanner.feed(b"x1\nxy2\nz\n\x1b[31mx3\x1b[0m\x07\r\nx" + b"4" * 400)
    scanner.finish()
    assert scanner.matches == {"a": 4, "b": 1}
    assert list(map(readable, scanner.samples)) == ["x3\N{REPLACEMENT CHARACTER}", "x" + "4" * 400]
    scanner = LineScanner({"a": "x", "b": "y"})
    scanner.feed(b"x1\nxy2\ny3\n")
    assert list(scanner.samples) == [b"x1", b"xy2", b"y3"], "once and in order, whichever pattern found them"


def test_a_line_without_end_is_not_kept() -> None:
    scanner = LineScanner({"": "x"})
    for _ in range(50):
        scanner.feed(b"x" * 100_000)
    scanner.finish()
    assert 5_000_000 // LINE_MAX - 1 <= scanner.lines <= 6
    assert scanner.matches[""] == scanner.lines


@pytest.mark.parametrize(("ignore", "count"), [(None, 2), ("two", 1), ("x", 0)])
def test_ignored_lines_do_not_count(ignore: str | None, count: int) -> None:
    scanner = LineScanner({"": "x"}, ignore)
    scanner.feed(b"x one\nx two\n")
    assert (scanner.matches[""], scanner.lines) == (count, 2)
