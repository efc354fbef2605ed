"""Counting lines of a log that match, while it streams by: memory holds one block and a few samples."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Mapping

__all__ = ["LogScanner"]

LINE_MAX = 1_000_000  # characters; a longer line counts as several
_SAMPLE_MAX = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# what may hold for a line alone and not for the same line among others, or the other way round
_LINE_BY_LINE = re.compile(r"\\[AZ]|\(\?(?:[=!]|<[=!])")


class LogScanner:
    """Feeds on the bytes of one log. `matches` counts, by pattern's name, the lines in which it is found.

    A line that `ignore` is found in does not count. `samples` are the last lines that did, at most `keep`.
    """

    def __init__(self, patterns: Mapping[str, str], ignore: str | None = None, keep: int = 5) -> None:
        self.matches = dict.fromkeys(patterns, 0)
        self.lines = 0
        self.bytes = 0
        self.samples: deque[str] = deque(maxlen=keep)
        self._patterns = {name: re.compile(text, re.MULTILINE) for name, text in patterns.items()}
        self._alone = {name for name, text in patterns.items() if _LINE_BY_LINE.search(text)}
        self._ignore = re.compile(ignore) if ignore is not None else None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> None:
        """Count in what is complete so far."""
        self.bytes += len(chunk)
        text = self._rest + self._decode.decode(chunk)
        end = text.rfind("\n") + 1
        if not end and len(text) > LINE_MAX:
            text, end = f"{text}\n", len(text) + 1
        self._scan(text[:end])
        self._rest = text[end:]

    def finish(self) -> None:
        """Count in the last line, which may have no end."""
        rest = self._rest + self._decode.decode(b"", True)
        self._rest = ""
        if rest:
            self._scan(f"{rest}\n")

    def _scan(self, block: str) -> None:
        self.lines += block.count("\n")
        found: set[tuple[int, int]] = set()
        for name, pattern in self._patterns.items():
            places = self._each_line(pattern, block) if name in self._alone else self._search(pattern, block)
            self.matches[name] += len(places)
            found.update(places)
        for start, end in sorted(found)[-(self.samples.maxlen or 0) :]:
            self.samples.append(_clean(block[start:end]))

    def _search(self, pattern: re.Pattern[str], block: str) -> list[tuple[int, int]]:
        """Lines with a match: the whole block is searched at once, which is many times faster than each line."""
        places: list[tuple[int, int]] = []
        position = 0
        while position < len(block) and (match := pattern.search(block, position)) is not None:
            start = block.rfind("\n", 0, match.start()) + 1
            end = block.find("\n", match.start())
            if end < 0:
                break
            # a match that reaches into the next line must hold for this one alone
            if (match.end() <= end or pattern.search(block[start:end])) and self._counts(block[start:end]):
                places.append((start, end))
            position = end + 1
        return places

    def _each_line(self, pattern: re.Pattern[str], block: str) -> list[tuple[int, int]]:
        places: list[tuple[int, int]] = []
        start = 0
        while (end := block.find("\n", start)) >= 0:
            line = block[start:end]
            if pattern.search(line) and self._counts(line):
                places.append((start, end))
            start = end + 1
        return places

    def _counts(self, line: str) -> bool:
        return self._ignore is None or self._ignore.search(line) is None


def _clean(line: str) -> str:
    """Fit to be shown: without colours and control characters."""
    text = _COLOUR.sub("", line).rstrip("\r")
    shown = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text[:_SAMPLE_MAX])
    return shown + ("..." if len(text) > _SAMPLE_MAX else "")
