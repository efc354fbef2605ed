"""Which incidents a silence is about, which silences cannot be, and what is said when the quiet is over."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from healthd.incidents.silences import (
    expired,
    facts,
    from_record,
    make,
    matches,
    spoken,
    to_record,
    why,
)
from healthd.model.matchers import parse_matcher
from healthd.model.outcomes import Level
from healthd.model.silences import Silence, SilenceError
from tests.factories import make_check
from tests.telling import make_incident

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
INCIDENT = make_incident(severity="Severity 2", playbook="web-slow")
LABELS = facts(INCIDENT, make_check(labels={"team": "payments", "system": "a label cannot say otherwise"}))


def silence(*matchers: str, reason: str = "moving", starts: datetime = NOW, ends: datetime = NOW + HOUR) -> Silence:
    return make("SIL-1", [parse_matcher(text) for text in matchers], "ada", reason, (NOW, starts, ends))


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        ("system=shop", True),
        ("system=SHOP", True),
        ("system=sh*", True),
        ("system!=shop", False),
        ("system!=other", True),
        ("check=shop/web", True),
        ("check=web", True),
        ("check=w?b", True),
        ("check!=web", False),
        ("shop/web", True),
        ("web", True),
        ("check=shop/we", False),
        ("check=~shop/(web|api)", True),
        ("check=~web", False),  # the whole value
        ("check!~shop/.*", False),
        ('severity="Severity 2"', True),
        ("severity=Severity 1", False),
        ("severity=~Severity [12]", True),
        ("severity=~severity 2", False),  # expressions heed case
        ("level=critical", True),
        ("playbook=web-*", True),
        ("incident=INC-20260102-150405-abc123", True),
        ("team=payments", True),
        ("team!=backend", True),
        ("rota=", True),  # what is not there is the empty word
        ("rota!=", False),
        ("rota=~.+", False),
    ],
)
def test_a_matcher_holds_as_in_alertmanager(matcher: str, fits: bool) -> None:
    assert matches(silence(matcher), LABELS) is fits


def test_all_matchers_must_hold() -> None:
    assert matches(silence("system=shop", "team=payments"), LABELS)
    assert not matches(silence("system=shop", "team=backend"), LABELS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no matcher: expected system=shop"),
        ("=shop", "is no matcher"),
        ("check=~(", "no regular expression"),
        ("check=~(a+)+b", "a repetition within a repetition may take for ever: write a\\+ for"),
        ("check=~((x|xy)*z)*", "a repetition within a repetition"),
        ("check=~.*a.*b.*c.*d", "so many repetitions may take for ever: write one"),
        ("check=" + "x" * 201, "more than 200 characters"),
    ],
)
def test_what_is_no_matcher_is_refused_with_what_is_expected(text: str, said: str) -> None:
    with pytest.raises(SilenceError, match=said):
        parse_matcher(text)


def test_an_expression_that_is_let_through_takes_no_time() -> None:
    labels = {**LABELS, "check": "a" * 5000}
    began = time.perf_counter()
    assert not matches(silence("check=~a*a*a*b"), labels)
    assert time.perf_counter() - began < 10  # tracking back would take for ever


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": "  "}, "a reason is needed"),
        ({"ends": NOW}, "it ends before it starts"),
        ({"starts": NOW - 2 * HOUR, "ends": NOW - HOUR}, "it is over already"),
        ({"ends": NOW + timedelta(days=367)}, "longer than 366 days: .*enabled: false"),
    ],
)
def test_a_silence_nobody_can_mean_is_refused(change: dict[str, datetime], said: str) -> None:
    with pytest.raises(SilenceError, match=said):
        silence("system=shop", **change)  # type: ignore[arg-type]


def test_silencing_everything_must_be_said() -> None:
    with pytest.raises(SilenceError, match=r"or system=\*"):
        silence()
    assert matches(silence("system=*"), LABELS)


def test_it_is_pending_active_and_expired_to_the_moment() -> None:
    made = silence("web", starts=NOW + HOUR, ends=NOW + 2 * HOUR)
    second = timedelta(seconds=1)
    moments = (HOUR - second, HOUR, 2 * HOUR - second, 2 * HOUR)
    assert [made.state(NOW + m) for m in moments] == ["pending", "active", "active", "expired"]


def test_one_that_is_called_back_before_it_begins_never_does() -> None:
    ended = expired(silence("web", starts=NOW + HOUR, ends=NOW + 2 * HOUR), NOW, "bob")
    assert ended.state(NOW) == "expired"
    assert ended.state(NOW + HOUR) == "expired"
    assert ended.ended_by == "bob"


def test_a_record_keeps_all_of_it() -> None:
    made = silence("system=shop", "check=~a|b", starts=NOW + HOUR, ends=NOW + 2 * HOUR)
    record = to_record(made, NOW)
    assert from_record(record) == made
    assert (record.system, record.is_open) == ("shop", True)
    assert to_record(expired(made, NOW, "bob"), NOW).closed_at == NOW


def test_people_read_by_whom_until_when_and_why() -> None:
    assert why(silence("web")) == "silenced by ada until 2026-03-02 10:00 UTC: moving (SIL-1)"


@pytest.mark.parametrize(
    ("details", "level", "event"),
    [
        ({"quiet": "x"}, Level.CRITICAL, "firing"),  # nobody has heard of it
        ({"quiet": "x", "channels": []}, Level.CRITICAL, "firing"),
        ({"quiet": "x", "channels": ["slack"], "told_level": "critical"}, Level.CRITICAL, "unsilenced"),
        ({"quiet": "x", "channels": ["slack"], "told_level": "warning"}, Level.CRITICAL, "worsened"),
        ({"quiet": "x", "channels": ["slack"], "told_level": "critical"}, Level.WARNING, "unsilenced"),
    ],
)
def test_after_the_quiet_just_what_was_missed_is_told(details: dict[str, object], level: Level, event: str) -> None:
    assert spoken(replace(INCIDENT, details=details, level=level), NOW).event == event
