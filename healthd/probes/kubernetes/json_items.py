"""Reading a Kubernetes list while it arrives: one object at a time, so that memory holds one and not all."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["ItemReader", "NotAListError"]

OBJECT_MAX = 16_000_000  # characters; etcd takes about 1.5 MB
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


class NotAListError(ValueError):
    """What was sent is not the JSON of a list of objects."""


class _NeedMore(Exception):  # noqa: N818 - no error
    """The text so far ends in the middle of something."""


class ItemReader:
    """Takes the bytes of `{"kind": ..., "metadata": {...}, "items": [...]}` as they come; gives the items.

    `members` are the others of the outer object: `metadata` with the token of the next page.
    """

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._wanted = 0  # characters before it is worth another try
        self._in_items = False
        self._begun = self._done = self._listed = False

    def feed(self, chunk: bytes, *, final: bool = False) -> Iterator[Any]:
        """The items completed by `chunk`. Raises NotAListError."""
        try:
            self._text += self._decode.decode(chunk, final)
        except UnicodeDecodeError:
            raise NotAListError("it is no UTF-8") from None
        if len(self._text) < self._wanted and not final:
            return
        try:
            while not self._done:
                yield from self._step()
        except _NeedMore:
            if final:
                raise NotAListError("it ends in the middle, or is no JSON") from None
        self._text, self._position = self._text[self._position :], 0
        if len(self._text) > OBJECT_MAX:
            raise NotAListError(f"it holds an object of more than {OBJECT_MAX // 1_000_000} MB")
        # a large object in small pieces must not be tried anew with each
        self._wanted = len(self._text) * 3 // 2
        if final and not self._listed:
            raise NotAListError("it has no items")

    def _step(self) -> Iterator[Any]:
        if self._in_items:
            yield from self._items()
            return
        here = self._peek()
        if not self._begun:
            self._expect(here, "{")
            self._begun = True
        elif here == "}":
            self._done, self._position = True, self._position + 1
        else:
            self._member(self._position + (here == ","))

    def _member(self, position: int) -> None:
        """Read `"name": value`, or only up to the `[` of the items."""
        name, position = self._value(position)
        position = self._skip(position)
        if self._text[position] != ":":
            raise NotAListError("it is no JSON")
        position = self._skip(position + 1)
        if name == "items" and self._text[position] == "[":
            self._in_items = self._listed = True
            self._position = position + 1
            return
        value, position = self._value(position)
        self._position = self._end_of_value(position, "}")
        self.members[str(name)] = value
        self._listed = self._listed or name == "items"

    def _items(self) -> Iterator[Any]:
        while True:
            here = self._peek()
            if here == "]":
                self._position += 1
                self._in_items = False
                return
            item, position = self._value(self._position + (here == ","))
            self._position = self._end_of_value(position, "]")
            yield item

    def _end_of_value(self, position: int, closing: str) -> int:
        """Where what follows a value begins: a number could go on in what has not arrived."""
        position = self._skip(position)
        if self._text[position] not in ("," + closing):
            raise NotAListError("it is no JSON")
        return position

    def _peek(self) -> str:
        self._position = self._skip(self._position)
        return self._text[self._position]

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        assert match is not None
        if match.end() >= len(self._text):
            raise _NeedMore
        return match.end()

    def _value(self, position: int) -> tuple[Any, int]:
        try:
            return _DECODER.raw_decode(self._text, self._skip(position))
        except json.JSONDecodeError:
            raise _NeedMore from None
        except RecursionError:
            raise NotAListError("it is nested too deeply") from None

    def _expect(self, here: str, wanted: str) -> None:
        if here != wanted:
            raise NotAListError("it is no JSON object")
        self._position += 1
