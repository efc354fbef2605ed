"""Lines out of a container's log as the engine sends it: two streams in one, in frames with a header each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

__all__ = ["FrameError", "Lines"]

_HEADER = Struct(">BBHL")  # stream, zeros, size
_ENGINE = 3  # what the engine itself says, about an error while reading
_LINE_MAX = 1 << 18  # bytes; a longer line counts as several


class FrameError(ValueError):
    """Bytes that are no frames."""


@dataclass(slots=True)
class Lines:
    """Fed with pieces of any size; gives blocks of whole lines of one stream. `framed`: False for a terminal's log."""

    framed: bool
    _bytes: bytes = b""
    _stream: int = 1
    _left: int = 0  # bytes of the frame being read that have not come yet
    _begun: dict[int, bytes] = field(default_factory=dict)  # lines without their end, by stream

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end in `piece`. Raises FrameError."""
        parts = self._parts(piece) if self.framed else {1: [piece]}
        for stream, contents in parts.items():
            content = self._begun.pop(stream, b"") + b"".join(contents)
            end = content.rfind(b"\n") + 1
            if not end and len(content) > _LINE_MAX:
                end = len(content)
            if end < len(content):
                self._begun[stream] = content[end:]
            if end:
                yield content[:end]

    def end(self) -> Iterator[bytes]:
        """Lines that were begun and never ended."""
        yield from self._begun.values()
        self._begun.clear()

    def _parts(self, piece: bytes) -> dict[int, list[bytes]]:
        """What the frames in `piece` hold, by stream. This loop is what reading a log costs."""
        data, parts = self._bytes + piece, dict[int, list[bytes]]()
        position = min(self._left, len(data))
        if position:
            parts[self._stream] = [data[:position]]
            self._left -= position
        unpack, size, head = _HEADER.unpack_from, len(data), _HEADER.size
        while size - position >= head and not self._left:
            stream, zero, zeros, length = unpack(data, position)
            if zero or zeros or not 1 <= stream <= _ENGINE:
                raise FrameError("not a log stream")
            position += head
            end = position + length
            if end > size:
                self._stream, self._left, end = stream, end - size, size
            parts.setdefault(stream, []).append(data[position:end])
            position = end
        self._bytes = data[position:]
        return parts
