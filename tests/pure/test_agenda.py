"""What is due when, however often it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from healthd.services.agenda import SLACK, Agenda

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "drop", "due"]), st.sampled_from("abcdef"), st.integers(0, 50))
)


@given(steps=STEPS, most=st.integers(1, 4))
def test_it_says_what_a_table_would(steps: list[tuple[str, str, int]], most: int) -> None:
    agenda, table = Agenda(), {}
    for what, name, seconds in steps:
        if what == "put":
            agenda.put(name, at(seconds))
            table[name] = seconds
        elif what == "drop":
            agenda.drop(name)
            table.pop(name, None)
        else:
            expected = sorted((moment, known) for known, moment in table.items() if moment <= seconds)[:most]
            found = agenda.due(at(seconds), most)
            assert found == [known for _, known in expected]
            for known in found:
                del table[known]


def test_what_is_put_again_and_again_takes_no_room() -> None:
    agenda = Agenda()
    for i in range(10 * SLACK):
        agenda.put("a", at(i))
    assert len(agenda._queue) <= 2 * SLACK
    assert agenda.due(at(10 * SLACK), 5) == ["a"]
    assert agenda.due(at(10 * SLACK), 5) == []
