"""Which tables a SELECT reads, from its text alone: what a role must be allowed for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from healthd.probes.postgres.statement import lexed

__all__ = ["Relation", "functions_in", "relations_in", "strings_in"]

_CLAUSES = frozenset({
    "select", "with", "values", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for",
    "union", "intersect", "except",
})  # fmt: skip
_BEFORE_NAME = frozenset({"lateral", "only"})
_WITH_FROM_INSIDE = frozenset({"extract", "substring", "trim", "overlay"})  # extract(epoch FROM ...)
_OPENS_TABLE = frozenset({"", "(", "union", "intersect", "except", "all", "distinct"})


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """A table or view; `schema` is empty when the query leaves it to the search path. Both as the server has them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(map(quoted, filter(None, (self.schema, self.name))))


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    return '"{}"'.format(name.replace('"', '""'))


def relations_in(sql: str) -> set[Relation]:
    """The tables and views named in a statement that check_statement takes; names of its own WITH are none."""
    words = [word for kind, text, _ in lexed(sql) for word in _words(kind, text)]
    own = set(_own_names(words))
    found = set(_Reader(words).read())
    return {relation for relation in found if relation.schema or relation.name not in own}


def _words(kind: str, text: str) -> list[str]:
    """In lower case but for what is quoted; `.orders`, which reads like a number, is a dot and a name."""
    if kind == "number" and text.startswith("."):
        return [word for name in text[1:].split(".") for word in (".", name.lower()) if word]
    return [text.lower() if kind == "word" else text]


def functions_in(sql: str) -> set[str]:
    """The names of what is called, without their schemas."""
    words = [text.lower() for kind, text, _ in lexed(sql) if kind not in ("string", "estring")]
    return {before.strip('"') for before, after in pairwise(words) if after == "("}


def strings_in(sql: str) -> set[str]:
    """What stands in simple quotes, in lower case."""
    return {text[1:-1].lower() for kind, text, _ in lexed(sql) if kind == "string"}


def _own_names(words: Sequence[str]) -> Iterator[str]:
    """What stands before AS ( or AS MATERIALIZED (: the names a WITH gives."""
    for place, word in enumerate(words):
        rest = [w for w in words[place + 1 : place + 4] if w not in ("not", "materialized")]
        if word == "as" and rest[:1] == ["("] and place:
            before = place - 1
            if words[before] == ")":  # name (column, ...) AS (
                before = _opening(words, before) - 1
            yield _name(words[before])


def _opening(words: Sequence[str], place: int) -> int:
    depth = 0
    for at in range(place, -1, -1):
        depth += (words[at] == ")") - (words[at] == "(")
        if depth == 0:
            return at
    return 0


def _is_name(word: str) -> bool:
    return word[0] == '"' or word[0].isalpha() or word[0] == "_"


def _name(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word


@dataclass(slots=True)
class _Level:
    """Inside one pair of parentheses."""

    has_from_inside: bool = False  # extract(... FROM ...)
    lists_tables: bool = False  # a comma is followed by another
    wants_table: bool = False


class _Reader:
    """Walks through the words with one level for each open parenthesis."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._levels = [_Level()]

    def read(self) -> Iterator[Relation]:
        place = 0
        while place < len(self._words):
            if self._levels[-1].wants_table and _is_name(self._words[place]) and not self._is_keyword(place):
                names, place = self._dotted(place)
                self._levels[-1].wants_table = False
                if self._at(place) != "(":  # else a function
                    yield Relation(names[-2] if len(names) > 1 else "", names[-1])
            else:
                self._step(place)
                place += 1

    def _is_keyword(self, place: int) -> bool:
        word = self._words[place]
        return word in _CLAUSES | _BEFORE_NAME or (word == "rows" and self._at(place + 1) == "from")

    def _at(self, place: int) -> str:
        return self._words[place] if 0 <= place < len(self._words) else ""

    def _dotted(self, place: int) -> tuple[list[str], int]:
        names = [_name(self._words[place])]
        while self._at(place + 1) == "." and place + 2 < len(self._words):
            place += 2
            names.append(_name(self._words[place]))
        return names, place + 1

    def _step(self, place: int) -> None:
        word, before, level = self._words[place], self._at(place - 1), self._levels[-1]
        if word == "(":
            self._levels.append(_Level(before in _WITH_FROM_INSIDE, wants_table=level.wants_table))
            level.wants_table = False
        elif word == ")" and len(self._levels) > 1:
            self._levels.pop()
        elif word == ",":
            level.wants_table = level.lists_tables
        elif word in _CLAUSES:
            level.lists_tables = level.wants_table = False
        elif word == "join" or (word == "table" and before in _OPENS_TABLE):
            level.wants_table = True
        elif word == "from" and not level.has_from_inside and before != "distinct":
            level.lists_tables = level.wants_table = True
