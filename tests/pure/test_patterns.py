"""Patterns of users against texts of enemies: the same as `re` finds, or a refusal in time; never a standstill."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.probes.base import ProbeError
from healthd.probes.patterns import costly, search, search_all

EVERYDAY = (
    "ok", r'"status"\s*:\s*"(up|ok)"', r"\b5\d\d\b", r"took (\d+)ms", r"(?i)error|warn(ing)?", r"^HTTP/\d\.\d 200",
    r"\d{1,3}(\.\d{1,3}){3}", r'"version":"[^"]+"', r"Welcome to [A-Z]\w+", r"\A\S+ \S+",
)  # fmt: skip
HOSTILE = (
    (r"(a+)+$", "a"), (r"(a|aa)+$", "a"), (r"(a?){30}b", "a"), (r"(\s*\w+)*$", "a "), (r"(a|a)*b", "a"),
    (r"^(\w+\s?)*$", "a "), (r"(.*)*x", "a"), (r"(a{1,3})*b", "a"), (r"(x+x+)+y", "x"), (r"(.)\1+(.)\2+.*z", "a"),
)  # fmt: skip


@pytest.mark.parametrize("pattern", EVERYDAY)
def test_everyday_patterns_are_looked_for_at_once_in_a_page(pattern: str) -> None:
    assert not costly(pattern, 100_000)


@pytest.mark.parametrize(("pattern", "piece"), HOSTILE)
def test_what_may_take_for_ever_is_known(pattern: str, piece: str) -> None:
    assert costly(pattern, 60)


@pytest.mark.parametrize(
    ("pattern", "size"), [(r"<title>.*Shop", 100_000), (r"\s+$", 100_000), (r".*a.*b.*c", 1000), ("[^/]*/x", 1e6)]
)
def test_what_grows_with_the_square_is_for_short_texts(pattern: str, size: float) -> None:
    assert costly(pattern, int(size))
    assert not costly(pattern, 100)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(\w+)=(\w+)?;", "a" * 5000 + "=;"),
        (r"<title>(.*)</title>", "x" * 9000 + "<title>é</title>"),
        ("(a+)+b", "a" * 30 + "b"),
    ],
)
def test_the_same_is_found_elsewhere(pattern: str, text: str) -> None:
    assert costly(pattern, len(text))
    match = re.search(pattern, text)
    assert search(pattern, text) == (match and (match[0], *match.groups()))


def test_in_bytes_from_end_to_end_and_several() -> None:
    regex = re.compile(rb"(?i)(a|b)+.*c")
    texts = [b"ABxc", b"\xff", b"aab" * 2000 + b"c", b"xac"]
    assert [bool(found) for found in search_all(regex, texts, whole=True)] == [True, False, True, False]


def test_what_takes_too_long_is_stopped_and_told() -> None:
    began = time.monotonic()
    with pytest.raises(ProbeError, match=r"looking for '\(a\+\)\+\$' took more than") as caught:
        search("(a+)+$", "a" * 60 + "!")
    assert caught.value.kind == "limit"
    assert time.monotonic() - began < 30


ATOMS = st.sampled_from(["a", "b", ".", r"\w", r"\s", "[ab]", "[^a]", r"\d", r"\b", "^", "$", "(?=a)", ""])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}|{p[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2,}", "*?", "{0,40}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(PATTERNS, st.sampled_from(["a", "ab", "a ", "1", "aab"]))
def test_what_is_called_quick_is(pattern: str, piece: str) -> None:
    """Of patterns that nobody thought of: 300 hostile characters, if that is said to be cheap, are."""
    text = (piece * 300)[:300] + "!"
    if not costly(pattern, len(text)):
        began = time.process_time()
        re.search(pattern, text)
        assert time.process_time() - began < 2
