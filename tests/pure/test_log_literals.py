"""Words without which a pattern cannot match: never a word too many, for any pattern."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes.logs.literals import required_literals, stays_in_line
from healthd.probes.logs.scan import Matcher, compiled, scan


@pytest.mark.parametrize(
    ("pattern", "words", "folded"),
    [
        ("ERROR", [b"ERROR"], False),
        (r"(?i)\berror\b", [b"error"], True),
        (r"a (?i:Error) b", [b"a error b"], True),
        (r"\.php|\.jsp|admin|wp-", [b".jsp", b".php", b"admin", b"wp-"], False),
        (r"request_duration.* (\d{4,})$", [b"request_duration"], False),
        (r"status=(5\d\d) ", [b"status=5"], False),
        (r'" 5\d\d ', [b'" 5'], False),
        (r"(401|403)", [b"401", b"403"], False),
        (r"(?:timeout)+ now", [b"timeout"], False),
        (r"err(?:or)?", [b"err"], False),
        (r"(?:abc)?x", None, False),
        (r"\d+|ERROR", None, False),
        (r"[ab]+", None, False),
        (r"^(?!.*health)GET", [b"GET"], False),
        (r"", None, False),
    ],
)
def test_words(pattern: str, words: list[bytes] | None, folded: bool) -> None:
    found = required_literals(pattern.encode())
    assert (list(found.words) if found else None) == words
    if found:
        assert found.folded == folded


ATOMS = st.sampled_from(
    ["ab", "AB", "b", "c", ".", r"\d", "[ab]", "[^a]", r"\b", "^", "$", "(?i:ab)", "x", r"\s", r"\W"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        inner.map(lambda part: f"(?:{part})?"),
        inner.map(lambda part: f"({part})+"),
        inner.map(lambda part: f"(?={part})"),
    ),
    max_leaves=8,
)


@given(PATTERNS, st.lists(st.text("abABcx1 \r", max_size=12), max_size=12), st.booleans())
def test_the_same_lines_are_found_as_without_looking_for_words(pattern: str, lines: list[str], ended: bool) -> None:
    regex = compiled(pattern)
    piece = "\n".join(lines).encode() + (b"\n" if ended and lines else b"")
    whole = piece.split(b"\n")
    whole = [line.removesuffix(b"\r") for line in (whole if whole[-1] else whole[:-1])]
    hits: list[bytes] = []
    matcher = Matcher(regex, lambda p, start, end, _match: hits.append(p[start:end]))
    for _ in range(2):  # the second time as it goes on after lines that are full of the words
        hits.clear()
        assert scan(piece, [matcher]) == len(whole)
        assert hits == [line for line in whole if regex.search(line)]
        matcher.literals = None


@pytest.mark.parametrize(
    ("pattern", "stays"),
    [
        (r"duration=\d{4,}ms$", True),
        (r"^(\S+) .*40[13]", True),
        (r"^(?!.*health)GET", True),
        (r"a\s+b", False),
        (r"[^x]y", False),
        (r"[\n]", False),
        (r"[\x00-\x20]", False),
        (r"\Aerror", False),
        (r"(?s)a.b", False),
        (r"(?s:a.b)", False),
        (r"(?:a|b\n)", False),
        (r"\W", False),
        (r"[\w.-]+", True),
    ],
)
def test_patterns_that_stay_in_a_line(pattern: str, stays: bool) -> None:
    assert stays_in_line(pattern.encode()) == stays
