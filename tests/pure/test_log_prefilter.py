"""Looking for what a pattern needs, and at many lines at once, finds what looking at each line would."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes.logs.confine import confined
from healthd.probes.logs.patterns import compiled
from healthd.probes.logs.prefilter import prefilter
from healthd.probes.logs.scan import Matcher, scan


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("ERROR", [b"ERROR"]),
        (r"\.php|\.jsp|admin|wp-", [b".jsp", b".php", b"admin", b"wp-"]),
        (r"request_duration.* (\d{4,})$", [b"request_duration"]),
        (r"(?:timeout)+ now", [b"timeout"]),
        (r"err(?:or)?", [b"err"]),
        (r"(401|403)", [b"40"]),
        (r"\w+@\w+", [b"@"]),
        (r"id=[a-f0-9]{8}\b", [b"id="]),
        (r"^(?!.*health)GET", [b"\nGET"]),
        (r"done$", [b"done\n"]),
        (r"(?:abc)?x", None),
        (r"\d+|ERROR", None),
        (r"[ab]+", None),
        (r".", None),
        (r"\b5\d\d\b", None),  # looked for itself, from one 5 to the next
        (r"", None),
    ],
)
def test_words(pattern: str, words: list[bytes] | None) -> None:
    found = prefilter(pattern.encode())
    assert (list(found.words) if found else None) == words
    assert found is None or found.table is None


@pytest.mark.parametrize(
    ("pattern", "has", "has_not"),
    [
        (r"(?i)\berror\b", b"an Error!", b"terrors"),
        (r"\b[45]\d\d\b", b" 404\n", b" 304 14045"),
        (r"\b(4\d\d|51\d)\b", b"=511;", b"=5110;"),
        (r"\s5\d\d\s", b" 500 ", b'"500"'),
    ],
)
def test_classes_of_letters(pattern: str, has: bytes, has_not: bytes) -> None:
    found = prefilter(pattern.encode())
    assert found is not None
    assert found.table is not None

    def holds(line: bytes) -> bool:
        return any(word in (b"\n" + line + b"\n").translate(found.table) for word in found.words)

    assert (holds(has), holds(has_not)) == (True, False)


ATOMS = st.sampled_from(
    [
        "ab", "AB", "b", "c", ".", r"\d", "[ab]", "[^a]", r"\b", "^", "$", "(?i:ab)", "x", r"\s", r"\W", r"\D", r"\S",
        r"\n", r"[^\s]", r"\A", r"\Z", r"\B", "(?s:.)", "(?<=a)b", r"(?<!\s)", r"(?!.*b)", r"\d{3}", "(?:1|a)(?:c|d)",
        r"[\d\s]", "(?-m:^)", "é", "ab|cd", r"\w{2,}", r"(?i:[^x])", r"[\n]",
    ]
)  # fmt: skip
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
TEXTS = st.lists(st.text("abABcdx12é \r\t", max_size=12), max_size=12)


def found_by(matcher: Matcher, hits: list[tuple[bytes, tuple[bytes | None, ...]]], piece: bytes) -> int:
    hits.clear()
    return scan(piece, [matcher])


@given(PATTERNS, TEXTS, st.booleans())
def test_the_same_lines_are_found_in_every_way(pattern: str, lines: list[str], ended: bool) -> None:
    regex = compiled(pattern)
    piece = "\n".join(lines).encode() + (b"\n" if ended and lines else b"")
    whole = piece.split(b"\n")
    whole = [line.removesuffix(b"\r") for line in (whole if whole[-1] else whole[:-1])]
    expected = [(line, match.groups()) for line in whole if (match := regex.search(line))]
    hits: list[tuple[bytes, tuple[bytes | None, ...]]] = []

    def groups(match: Any) -> tuple[bytes | None, ...]:
        return tuple(match[number] for number in range(1, regex.groups + 1))

    matcher = Matcher(regex, lambda p, start, end, match: hits.append((p[start:end], groups(match))))
    for _ in range(3):  # with words, all lines at once, line by line
        assert found_by(matcher, hits, piece) == len(whole)
        assert hits == expected
        matcher.confined = matcher.confined if matcher.prefilter is not None else None
        matcher.prefilter = None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"a\s+b", b"a\nb a\n b"), ("[^x]y", b"\ny"), (r"x\W*y", b"x\ny"), (r"(?s)a.*b", b"a\nb"), (r"\Ab", b"xb\n b"),
        (r"a\Z", b"ax\nab"), (r"a\nb", b"a\nb"), (r"[\x00-\x20]b", b"a\nb"), (r"a(?=\s)[^c]b", b"a\nb"),
    ],
)  # fmt: skip
def test_no_match_reaches_into_the_next_line(pattern: str, text: bytes) -> None:
    assert re.compile(pattern.encode(), re.M).search(text) is not None or "Z" in pattern or "A" in pattern
    regex = confined(pattern.encode())
    assert regex is not None
    found = regex.search(text)
    assert found is None or b"\n" not in found[0]


def test_what_cannot_be_confined_is_looked_at_line_by_line() -> None:
    assert confined(rb"\B") is None
    assert confined(rb"(?L)a") is None
