"""What fits the patterns that the API tells of itself can be read by what reads it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from healthd.model.matchers import parse_matcher
from healthd.model.units import parse_duration
from healthd.web.api.paging import Place, piece, place, turned
from healthd.web.api.written import DURATION, LINK, LONGEST_MATCHER, MATCHER, REASON
from healthd.web.moments import EARLIEST, LATEST, moment
from healthd.web.problem import RequestError
from healthd.web.quiet import reason_of

T0 = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(st.from_regex(DURATION, fullmatch=True))
def test_durations_can_be_read(text: str) -> None:
    assert parse_duration(text) >= timedelta(0)


@settings(max_examples=60, deadline=None)
@given(st.from_regex(MATCHER, fullmatch=True))
def test_matchers_can_be_used(text: str) -> None:
    assume(len(text) <= LONGEST_MATCHER)
    matcher = parse_matcher(text)
    if matcher.op.endswith("~"):
        re.compile(matcher.value)


@pytest.mark.parametrize(
    "text",
    ["check=~shop/.*", "severity=~SEV[34]", 'team!~"a|b"', "name=~^web-[0-9]{2}$", r"check=~shop\/(web|api)?", "web",
     "shop/web-*", "severity=Severity 2", "system!=shop"],
)  # fmt: skip
def test_what_people_write_fits(text: str) -> None:
    assert re.fullmatch(MATCHER, text)
    parse_matcher(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_a_reason_is_given_or_refused_as_told(text: str) -> None:
    if re.search(REASON, text):
        assert reason_of(text).strip()
    else:
        with pytest.raises(RequestError):
            reason_of(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-02T15:04:05Z", T0),
        ("2026-01-02t16:04:05+01:00", T0),
        ("2026-01-02T16:04:05 01:00", T0),  # a + that was not quoted in an address
        ("2026-01-02T15:04:05.000000000z", T0),
        ("2026-01-02T15:04:05", T0),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("0000-02-29T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+23:59", EARLIEST),
        ("9999-12-31T23:59:59-01:00", LATEST),
    ],
)
def test_times_of_rfc_3339_are_read(text: str, at: datetime) -> None:
    assert moment(text, "t") == at


@pytest.mark.parametrize(
    "text", ["", "now", "20260102", "2026-W01-1", "2026-13-01T00:00:00Z", "٢٠٢٦-01-02", "0000-99-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"t: .* is not a time"):
        moment(text, "t")


@pytest.mark.parametrize("link", ["", "https://wiki.example/ü#1", "http://x?y"])
def test_links_are_web_addresses(link: str) -> None:
    assert re.fullmatch(LINK, link)


@pytest.mark.parametrize("link", ["https://x.example/a b", "http:///x", "javascript:alert(1)", "https://", " "])
def test_other_links_are_refused(link: str) -> None:
    assert not re.fullmatch(LINK, link)


@pytest.mark.parametrize(
    "part", ["x", "(x|y)", "(x|", "|", "[0-9a]", "[0-90-9", "x*", "0-0", "x{1}", "[", '"', "^", "\\d"]
)
def test_no_matcher_takes_long_to_refuse(part: str) -> None:
    began = perf_counter()
    assert not re.fullmatch(MATCHER, "a=~" + (part * 100)[:LONGEST_MATCHER] + "{")
    assert perf_counter() - began < 5


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_list_in_memory_is_read_once_and_whole(newest_first: bool) -> None:
    entries = [Place(T0 + timedelta(seconds=n // 3), f"id-{n}") for n in range(10)]  # three at a time
    found, after = piece(entries, lambda e: e, None, 4, newest_first=newest_first)
    while after:
        more, after = piece(entries, lambda e: e, place(after), 4, newest_first=newest_first)
        found += more
    assert found == (entries[::-1] if newest_first else entries)


async def test_what_is_passed_over_makes_no_page_the_last() -> None:
    entries = [Place(T0 - timedelta(seconds=n), f"id-{n}") for n in range(1_000)]

    async def fetch(before: datetime | None, before_id: str, most: int) -> list[Place]:
        return [e for e in entries if before is None or (e.at, e.id) < (before, before_id)][:most]

    found: list[Place] = []
    after: str | None = None
    while after != "":
        page, after = await turned(fetch, lambda e: e, place(after), 2, keep=lambda e: e.id.endswith("99"))
        found += page
    assert [e.id for e in found] == [f"id-{n}99" if n else "id-99" for n in range(10)]
