"""When tasks are asked for and when they are late, what signing for them settles, and what they are as checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.coverage import coverage
from healthd.evaluate import judge
from healthd.incidents.attestations import (
    ask_notice,
    asked,
    follows,
    from_record,
    given,
    look,
    reminders,
    taken_back,
    to_record,
)
from healthd.loading import in_force
from healthd.model.attestations import AttestationError, Request, Task
from healthd.model.catalogue import ATTESTATION, Catalogue, Check, ProbeSpec
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.services.firings import Firings
from tests.factories import UTC_ZONE, cron, every, make_check
from tests.pure.catalogue_samples import WEB, catalogue, lines
from tests.telling import make_incident, make_system

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TASK = Task("shop/rotate", due=DAY, remind=6 * HOUR, who="security")
CHECK = make_check(name="rotate", title="Secrets rotated", probe=ProbeSpec(ATTESTATION, TASK), cadences=("weekly",))
REQUEST = asked(CHECK, TASK, NOW)


def at(hours: float) -> datetime:
    return NOW + hours * HOUR


def test_the_same_firing_is_the_same_request() -> None:
    assert asked(CHECK, TASK, NOW).id == REQUEST.id
    assert asked(CHECK, TASK, at(1)).id != REQUEST.id
    assert REQUEST.id.startswith("ATT-20260302-090000-")


@pytest.mark.parametrize(("hours", "state"), [(0, "due"), (23, "due"), (24, "due"), (24.01, "overdue")])
def test_it_is_overdue_after_its_time(hours: float, state: str) -> None:
    assert REQUEST.state(at(hours)) == state


@pytest.mark.parametrize(("hours", "count"), [(0, 0), (5.9, 0), (6, 1), (12.5, 2), (23.9, 3), (24, 0), (100, 0)])
def test_people_are_reminded_until_it_is_due(hours: float, count: int) -> None:
    assert reminders(REQUEST, TASK, at(hours)) == count


def test_reminders_missed_while_healthd_was_away_are_one_and_none_is_told_twice() -> None:
    assert reminders(replace(REQUEST, reminded=3), TASK, at(18)) == 3
    assert reminders(REQUEST, replace(TASK, remind=timedelta(0)), at(18)) == 0


def test_who_is_asked_late_because_healthd_was_away_gets_the_same_time() -> None:
    late = asked(CHECK, TASK, NOW, now=at(48))
    assert (late.id, late.due_by, late.state(at(48))) == (REQUEST.id, at(72), "due")
    assert (reminders(late, TASK, at(50)), reminders(late, TASK, at(55))) == (0, 1)
    assert asked(CHECK, TASK, NOW, now=at(0.01)) == REQUEST
    follow = asked(CHECK, TASK, NOW, make_incident(), now=at(48))
    assert follow.due_by == at(24), "a post-mortem is due after the incident's end"


def test_who_and_when_is_kept_and_that_it_was_late() -> None:
    signed = given(REQUEST, at(2), "ada", "took 5 min", "https://wiki.example/1")
    assert (signed.state(at(3)), signed.given_by, signed.closed_at, signed.was_late) == ("given", "ada", at(2), False)
    assert given(REQUEST, at(30), "ada", "", "").was_late
    with pytest.raises(AttestationError, match="was given by ada at 2026-03-02 11:00 UTC already"):
        given(signed, at(3), "bob", "", "")


def test_what_is_taken_back_is_open_again_and_says_why() -> None:
    signed = given(REQUEST, at(2), "ada", "done", "")
    again = taken_back(signed, at(3), "bob", "wrong database")
    assert (again.is_open, again.note, again.state(at(25))) == (True, "", "overdue")
    [event] = again.withdrawn
    assert (event["by"], event["given_by"], event["reason"]) == ("bob", "ada", "wrong database")
    with pytest.raises(AttestationError, match="was not given"):
        taken_back(again, at(4), "bob", "again")
    with pytest.raises(AttestationError, match="a reason is needed"):
        taken_back(signed, at(3), "bob", " ")


def test_the_next_request_takes_the_place_of_an_open_one_and_stays_overdue_since_the_first() -> None:
    second, missed = follows(asked(CHECK, TASK, at(48)), REQUEST)
    assert missed is not None
    assert (missed.state(at(48)), missed.dropped) == ("missed", f"{second.id} took its place")
    assert (second.state(at(48)), second.late_from) == ("overdue", at(24))
    third, _ = follows(asked(CHECK, TASK, at(96)), second)
    assert third.late_from == at(24)
    assert given(third, at(97), "ada", "", "").was_late


def test_after_a_request_that_was_signed_for_the_next_begins_anew() -> None:
    second, missed = follows(asked(CHECK, TASK, at(48)), given(REQUEST, at(30), "ada", "", ""))
    assert missed is None
    assert second.state(at(49)) == "due"


@pytest.mark.parametrize(("hours", "level", "due"), [(1, Level.OK, 1.0), (24, Level.OK, 1.0), (27, Level.WARNING, 1.0)])
def test_its_check_warns_once_it_is_overdue(rotate: Check, hours: float, level: Level, due: float) -> None:
    seen = look([REQUEST], at(hours), UTC_ZONE)
    assert {m.name: m.value for m in seen.measurements}["due"] == due
    found, reason, _ = judge(rotate.thresholds, seen.measurements, seen.note)
    assert found is level
    assert ("nobody has signed for it: asked for Mon 2026-03-02 09:00 UTC, due within 1d" in reason) is bool(reason)


def test_nothing_open_is_in_order() -> None:
    seen = look([given(REQUEST, at(1), "ada", "", "")], at(99), UTC_ZONE)
    assert [(m.name, m.value, m.unit) for m in seen.measurements] == [("due", 0, None), ("overdue", 0, Unit.SECONDS)]


@pytest.mark.parametrize("request_", [
    REQUEST,
    replace(REQUEST, reminded=2, overdue_since=at(-5)),
    given(REQUEST, at(30), "ada", "note", "https://x.example"),
    taken_back(given(REQUEST, at(30), "ada", "", ""), at(31), "bob", "why"),
    asked(CHECK, TASK, NOW, make_incident()),
])  # fmt: skip
def test_a_record_keeps_all_of_it(request_: Request) -> None:
    assert from_record(to_record(request_)) == request_


def test_one_is_told_by_its_name_with_its_page_and_many_as_one() -> None:
    one = ask_notice([REQUEST], make_system(), NOW, again=False)
    assert (one.title, one.path) == ("To be done: Secrets rotated", f"/attestations/{REQUEST.id}")
    assert f"healthd attest {REQUEST.id}" in one.text
    other = asked(replace(CHECK, name="audit", title="Audit"), TASK, NOW)
    many = ask_notice([REQUEST, other], make_system(), NOW, again=True)
    assert (many.title, many.path) == ("Still to be done: 2 tasks of The Shop", "/attestations")
    assert ask_notice([REQUEST], make_system(), at(1), again=False).id == one.id


def test_a_postmortem_comes_with_its_draft() -> None:
    follow = asked(CHECK, TASK, NOW, make_incident())
    url = f"https://healthd.example/api/v1/incidents/{make_incident().id}/postmortem"
    notice = ask_notice([follow], make_system(), NOW, again=False, page="https://healthd.example/")
    assert notice.kind == "postmortem"
    assert f"[a filled-in draft]({url})" in notice.text, "a link in every channel: addresses alone are none in Slack"
    other = replace(follow, id="ATT-2")
    for words in (notice.text, ask_notice([follow, other], make_system(), NOW, again=True, page="https://x/").text):
        assert f"`healthd postmortem {make_incident().id}`" in words
    assert "http" not in ask_notice([follow], make_system(), NOW, again=False).text, "nobody has said how to reach it"


def test_a_postmortem_says_of_what() -> None:
    over = make_incident(opened_at=at(-1), resolved_at=NOW, acknowledged_by="ada")
    text = ask_notice([asked(CHECK, TASK, NOW, over)], make_system(), NOW, again=False).text
    assert "SEV2, open for 1h, acknowledged by ada: latency 1.2s >= 1s" in text
    record = to_record(asked(CHECK, TASK, NOW, over))
    former = replace(record, body={name: value for name, value in record.body.items() if name != "about"})
    assert from_record(former).about == ""


# -- when -------------------------------------------------------------------------------------------------------------


def firings(check: Check, known_since: datetime, newest: datetime | None = None) -> Firings:
    found = Firings()
    records = [to_record(asked(check, TASK, newest))] if newest else []
    found.restore({f"attestation|{check.id}": known_since}, records)
    return found


def test_a_new_task_is_not_asked_for_what_was_before_it() -> None:
    weekly = replace(CHECK, rules=(cron("0 9 * * 1"),))
    found = Firings()
    assert found.adopt([weekly], at(1)) == {"attestation|shop/rotate": at(1)}
    assert found.due(at(24 * 6)) == []
    assert found.due(at(24 * 7)) == [("shop/rotate", at(24 * 7))]
    assert found.due(at(24 * 7 + 1)) == []


def test_of_the_firings_missed_while_healthd_was_away_the_newest_is_asked_for() -> None:
    daily = replace(CHECK, rules=(cron("0 9 * * *"),))
    found = firings(daily, at(-1000), newest=NOW)
    assert found.adopt([daily], at(24 * 30 + 5)) == {}
    assert found.due(at(24 * 30 + 5)) == [("shop/rotate", at(24 * 30))]
    assert found.due(at(24 * 31)) == [("shop/rotate", at(24 * 31))]


def test_what_was_asked_for_before_a_restart_is_not_asked_for_again() -> None:
    daily = replace(CHECK, rules=(cron("0 9 * * *"),))
    found = firings(daily, at(-1000), newest=NOW)
    found.adopt([daily], at(1))
    assert found.due(at(2)) == []


def test_a_task_that_was_switched_off_begins_anew() -> None:
    daily = replace(CHECK, rules=(cron("0 9 * * *"),))
    found = firings(daily, at(-1000))
    found.adopt([], at(1))
    assert found.adopt([daily], at(30)) == {"attestation|shop/rotate": at(30)}
    assert found.due(at(30)) == []


def test_intervals_count_too_and_what_follows_incidents_has_no_times() -> None:
    often, after = replace(CHECK, rules=(every(3600),)), make_check(name="pm", rules=())
    found = Firings()
    found.adopt([often, after], NOW)
    [(name, first)] = found.due(at(1))
    assert name == "shop/rotate"
    assert found.due(first + HOUR) == [("shop/rotate", first + HOUR)]


# -- in the catalogue --------------------------------------------------------------------------------------------------

SCALE = "severities: {SEV1: , SEV4: }\ncadences:\n  daily: {on: daily, at: '09:00'}\n  weekly: {on: monday, at: '09:00'}\n  quarterly: {on: quarterly, at: '09:00'}\n"  # noqa: E501 - YAML
ONE = f"checks: [{{name: load, every: 60s, {WEB}}}]\n"


def tasks(folder: Path, attestation: str) -> Catalogue:
    return catalogue(folder, f"{SCALE}{ONE}attestations: {{rotate: {{{attestation}}}}}\n")


@pytest.fixture
def rotate(tmp_path: Path) -> Check:
    return tasks(tmp_path, "cadence: daily").tasks["demo/rotate"]


@pytest.mark.parametrize(
    ("written", "due", "remind"),
    [
        ("cadence: daily", DAY, 12 * HOUR),
        ("cadence: weekly", 3 * DAY, DAY),
        ("cadence: quarterly", 7 * DAY, DAY),
        ("cadence: weekly, due: 5d, remind: 2d", 5 * DAY, 2 * DAY),
        ("cadence: weekly, remind: 0", 3 * DAY, timedelta(0)),
        ("within: 48h, severities: SEV1", 2 * DAY, DAY),
    ],
)
def test_it_is_due_as_usual_for_its_cadence_or_as_written(
    tmp_path: Path, written: str, due: timedelta, remind: timedelta
) -> None:
    params = tasks(tmp_path, written).tasks["demo/rotate"].probe.params
    assert (params.due, params.remind) == (due, remind)


@pytest.mark.parametrize(
    ("written", "severity", "enabled"),
    [("who: x", "SEV4", True), ("severity: SEV1", "SEV1", True), ("enabled: false", "SEV4", False)],
)
def test_it_fires_as_the_mildest_severity_or_as_written(
    tmp_path: Path, written: str, severity: str, enabled: bool
) -> None:
    found = tasks(tmp_path, f"cadence: daily, {written}").tasks["demo/rotate"]
    assert (found.warning_severity, found.enabled) == (severity, enabled)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("attestations: {load: {cadence: daily}}", "attestations: 'load': its name is defined twice"),
        ("attestations: {Restore drill: {cadence: daily}}", "did you mean 'restore-drill'?"),
        ("attestations: {a: {cadence: daily, severity: SEV9}}", "unknown severity 'SEV9'"),
        ("attestations: {a: {within: 1h, severities: SEV1, due: 1h}}", "'within' and 'due' say the same"),
        ("windows: {w: {cadence: often, duration: 1h}}\ncadences: {often: {every: 60s}}", "is an interval"),
        ("windows: {w: {cadence: daily, duration: 1h, except_severities: SEV9}}", "unknown severity 'SEV9'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(tmp_path: Path, text: str, said: str) -> None:
    scale = "severities: {SEV1: }\n" if "often" in text else SCALE
    assert said in "\n".join(lines(tmp_path, f"{scale}{ONE}{text}\n"))


def test_attestations_run_with_the_checks_and_count_as_none(tmp_path: Path) -> None:
    written = tasks(tmp_path, "cadence: daily, covers: shop/a")
    running = in_force(written)
    assert set(written.checks) == {"demo/load"}
    assert set(running.checks) == {"demo/load", "demo/rotate"}
    assert running.counts == {"demo": 1}
    assert coverage(written).unindexed == ("demo",)
