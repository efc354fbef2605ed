"""Whether a backup is whole and what it is, told while its bytes go by."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Inspector", "Kind", "UnreadableError"]

Kind = Literal["custom", "tar", "directory", "plain"]
_HEAD, _TAIL = 1 << 13, 1 << 13
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_HEADER, _TRAILER = b"PostgreSQL database dump", b"dump complete"
# what may be done to a dump that is not undone here, by its first bytes
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x04\x22\x4d\x18": "compressed by lz4",
    b"PK\x03\x04": "a zip archive",
    b"-----BEGIN PGP": "encrypted by PGP",
    b"age-encryption.org": "encrypted by age",
    b"Salted__": "encrypted by openssl",
}


class UnreadableError(Exception):
    """A backup of a kind that cannot be restored here."""


@dataclass(slots=True)
class Inspector:
    """Fed with all bytes of a backup in order. `size` and `content_size` are before and after decompression."""

    size: int = 0
    content_size: int = 0
    head: bytes = b""  # of the content
    tail: bytes = b""
    damage: str = ""  # what is wrong, "" when nothing is
    compressed: bool = False
    _sum: hashlib._Hash = field(default_factory=hashlib.sha256)
    _inflate: zlib._Decompress | None = None
    _first: bytes = b""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if len(self._first) < 32:
            self._first = (self._first + piece)[:32]
        if not self.size:
            self.compressed = piece.startswith(_GZIP)
        self.size += len(piece)
        self._sum.update(piece)
        if not self.compressed:
            self._content(piece)
        elif not self.damage:
            self._decompress(piece)

    def end(self) -> None:
        """There is no more."""
        if not self.size:
            self.damage = "is empty"
        elif self.compressed and self._inflate is not None and not self.damage:
            self.damage = "is cut short"
        elif not self.damage and self.kind_or_none() == "plain" and _HEADER in self.head and _TRAILER not in self.tail:
            self.damage = "is cut short: the line that ends a dump is missing"

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()

    def kind(self) -> Kind:
        """The format of the dump. Raises UnreadableError when it is none, or wrapped in something not undone here."""
        for first, words in _OTHERS.items():
            if self._first.startswith(first):
                raise UnreadableError(f"is {words}: only gzip is undone here")
        kind = self.kind_or_none()
        if kind is None:
            raise UnreadableError(f"is no dump of PostgreSQL (its first bytes are {self.head[:8].hex(' ')})")
        return kind

    def kind_or_none(self) -> Kind | None:
        """The same without a word about why not."""
        if self.head.startswith(b"PGDMP"):
            return "custom"
        if self.head[257:262] == b"ustar":
            # pg_dump's own tar format begins with this file; an archive of a directory format's folder does not
            return "tar" if self.head.startswith(b"toc.dat\0") else "directory"
        return "plain" if self.head and b"\0" not in self.head else None

    def _decompress(self, data: bytes) -> None:
        try:
            while data:
                inflate = self._inflate = self._inflate or zlib.decompressobj(wbits=31)
                self._content(inflate.decompress(data, _PIECE))
                while not inflate.eof and not inflate.unconsumed_tail and (more := inflate.decompress(b"", _PIECE)):
                    self._content(more)
                data = inflate.unconsumed_tail
                if inflate.eof:
                    data = inflate.unused_data.lstrip(b"\0")  # archives may be padded
                    self._inflate = None
        except zlib.error as error:
            self.damage = f"is damaged ({str(error).partition(': ')[2] or error})"

    def _content(self, piece: bytes) -> None:
        self.content_size += len(piece)
        if len(self.head) < _HEAD:
            self.head += piece[: _HEAD - len(self.head)]
        self.tail = (self.tail + piece)[-_TAIL:] if len(piece) < _TAIL else piece[-_TAIL:]
