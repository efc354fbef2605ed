"""Statements as evidence hold no values."""

from __future__ import annotations

import pytest

from healthd.probes.postgres.shown import shown_query


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT * FROM orders\n WHERE id = $1 AND t2.x9 > 17", "SELECT * FROM orders WHERE id = $1 AND t2.x9 > ?"),
        ("ALTER ROLE app PASSWORD 'hunter''2' VALID UNTIL '2030-01-01'", "ALTER ROLE app PASSWORD ? VALID UNTIL ?"),
        (r"SELECT E'it\'s', 'a\', 'secret'", "SELECT ?, ?, ?"),
        ("SELECT $$secret$$, $a$ $$ secret $a$, -1.5e3, .5", "SELECT ?, ?, -?, ?"),
        ('SELECT "Weird 7 ""name" FROM "T1" -- secret', 'SELECT "Weird 7 ""name" FROM "T1"'),
        ("SELECT /* secret */ 1, U&'secret', x'1F', date '2020-01-01'", "SELECT ?, ?, ?, date ?"),
        ("SELECT 'cut off in the middle of a sec", "SELECT ?"),
        ("SELECT /* cut off in a sec", "SELECT"),
        ("SELECT $x$ cut off in a sec", "SELECT ?"),
        (None, "(hidden)"),
    ],
)
def test_values_are_left_out(sql: str | None, shown: str) -> None:
    assert shown_query(sql) == shown


def test_long_statements_are_cut() -> None:
    assert len(shown_query("SELECT " + "a, " * 500)) == 200
