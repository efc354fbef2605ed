"""Lines out of a container's log as the engine sends it: two streams in one, in frames with a header each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["FrameError", "Lines", "Stream"]

Stream = str  # "stdout" or "stderr"
_STREAMS = {1: "stdout", 2: "stderr"}
_HEADER = 8
_LINE_MAX = 1 << 18  # bytes; a longer line is looked at in pieces


class FrameError(ValueError):
    """Bytes that are no frames."""


@dataclass(slots=True)
class Lines:
    """Fed with pieces of any size; gives whole lines, without their ends. `framed`: False for a terminal's log."""

    framed: bool
    _bytes: bytearray = field(default_factory=bytearray)
    _begun: dict[Stream, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    _stream: Stream = "stdout"
    _left: int = 0  # bytes of the frame being read

    def feed(self, piece: bytes) -> Iterator[tuple[Stream, bytes]]:
        """The lines that end in `piece`. Raises FrameError."""
        if not self.framed:
            yield from self._add("stdout", piece)
            return
        self._bytes += piece
        position = 0
        while position < len(self._bytes):
            if not self._left:
                if len(self._bytes) - position < _HEADER:
                    break
                self._begin(bytes(self._bytes[position : position + _HEADER]))
                position += _HEADER
            content = bytes(self._bytes[position : position + self._left])
            position += len(content)
            self._left -= len(content)
            yield from self._add(self._stream, content)
        del self._bytes[:position]

    def end(self) -> Iterator[tuple[Stream, bytes]]:
        """Lines that were begun and never ended."""
        for stream, begun in self._begun.items():
            if begun:
                yield stream, bytes(begun)
                begun.clear()

    def _begin(self, header: bytes) -> None:
        kind, self._left = header[0], int.from_bytes(header[4:], "big")
        if kind == 3:  # the engine itself, about an error while reading
            kind = 2
        if kind not in _STREAMS or header[1:4] != b"\0\0\0":
            raise FrameError("not a log stream")
        self._stream = _STREAMS[kind]

    def _add(self, stream: Stream, content: bytes) -> Iterator[tuple[Stream, bytes]]:
        begun = self._begun[stream]
        *ended, rest = content.split(b"\n")
        for line in ended:
            yield stream, (bytes(begun) + line if begun else line).removesuffix(b"\r")
            begun.clear()
        begun += rest
        if len(begun) > _LINE_MAX:
            yield stream, bytes(begun)
            begun.clear()
