"""Questions and answers on the wire (RFC 1035). Pure; whatever is read may be anything and is bounded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

TYPES: Mapping[str, int] = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257,
}  # fmt: skip
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_INTERNET = 1
_RECURSION_DESIRED, _RESPONSE, _TRUNCATED, _AUTHORITATIVE = 0x0100, 0x8000, 0x0200, 0x0400
_NAME_MAX, _LABEL_MAX = 255, 63
_TTL_MAX = 2**31  # RFC 2181: the top bit must be zero, and a larger value means 0


class MessageError(ValueError):
    """What was to be sent or was read is no DNS message."""


@dataclass(frozen=True, slots=True)
class Record:
    """One answer: `value` as zone files write it, names in lower case without the dot at the end."""

    name: str
    kind: int
    ttl: int
    value: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as far as it is read."""

    rcode: str
    truncated: bool
    authoritative: bool
    records: tuple[Record, ...]


def encode_name(name: str) -> bytes:
    """A name on the wire. Raises MessageError."""
    encoded, bare = b"", name.rstrip(".")
    for label in bare.split(".") if bare else ():
        try:
            octets = label.encode("ascii") if label.isascii() else label.encode("idna")
        except UnicodeError:
            raise MessageError(f"{name!r} holds a label that cannot be written") from None
        if not 0 < len(octets) <= _LABEL_MAX:
            raise MessageError(f"{name!r} is no name: a label has 1 to {_LABEL_MAX} letters")
        encoded += bytes([len(octets)]) + octets
    if len(encoded) >= _NAME_MAX:
        raise MessageError(f"{name!r} is longer than {_NAME_MAX} letters")
    return encoded + b"\0"


def question(name: str, kind: int, number: int, *, recursive: bool) -> bytes:
    """The message that asks."""
    flags = _RECURSION_DESIRED if recursive else 0
    return struct.pack("!6H", number, flags, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", kind, _INTERNET)


def read_reply(data: bytes, asked: bytes) -> Reply | None:
    """The reply to the message `asked`; None when it is one to something else. Raises MessageError."""
    try:
        number, flags, questions, answers, _, _ = struct.unpack_from("!6H", data)
        if number != struct.unpack_from("!H", asked)[0] or not flags & _RESPONSE:
            return None
        at = 12
        if questions:
            name, at = _name(data, 12)
            if questions != 1 or (name, data[at : at + 4]) != (_name(asked, 12)[0], asked[-4:]):
                return None
            at += 4
        truncated = bool(flags & _TRUNCATED)
        records = [] if truncated else _records(data, at, answers)
    except (struct.error, IndexError):
        raise MessageError("the message ends in the middle") from None
    rcode = RCODES.get(flags & 15, f"RCODE{flags & 15}")
    return Reply(rcode, truncated, bool(flags & _AUTHORITATIVE), tuple(records))


def _records(data: bytes, at: int, count: int) -> list[Record]:
    records = []
    for _ in range(count):
        name, at = _name(data, at)
        kind, family, ttl, length = struct.unpack_from("!HHIH", data, at)
        at += 10
        if at + length > len(data):
            raise MessageError("a record ends in the middle")
        if family == _INTERNET:
            records.append(Record(name, kind, ttl if ttl < _TTL_MAX else 0, _value(data, at, length, kind)))
        at += length
    return records


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name that begins there, and where what follows begins. Pointers only lead backwards."""
    labels: list[str] = []
    after, limit, size = None, at, 0
    while True:
        length = data[at]
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            after = at + 2 if after is None else after
            if target >= limit:
                raise MessageError("a name points forwards or at itself")
            at = limit = target
        elif length > _LABEL_MAX:
            raise MessageError("a label of an unknown kind")
        elif length == 0:
            return ".".join(labels).lower(), at + 1 if after is None else after
        else:
            if at + 1 + length > len(data):
                raise MessageError("a name ends in the middle")
            size += length + 1
            if size > _NAME_MAX:
                raise MessageError(f"a name is longer than {_NAME_MAX} letters")
            labels.append(data[at + 1 : at + 1 + length].decode("ascii", "backslashreplace"))
            at += 1 + length


def _value(data: bytes, at: int, length: int, kind: int) -> str:
    read = _READERS.get(kind)
    return read(data, at, length) if read is not None else data[at : at + length].hex()


def _address(data: bytes, at: int, length: int) -> str:
    if length not in (4, 16):
        raise MessageError("an address of a wrong length")
    octets = data[at : at + length]
    return str(IPv4Address(octets) if length == 4 else IPv6Address(octets))


def _host(data: bytes, at: int, _length: int) -> str:
    return _name(data, at)[0]


def _mx(data: bytes, at: int, _length: int) -> str:
    return f"{struct.unpack_from('!H', data, at)[0]} {_name(data, at + 2)[0]}"


def _srv(data: bytes, at: int, _length: int) -> str:
    priority, weight, port = struct.unpack_from("!HHH", data, at)
    return f"{priority} {weight} {port} {_name(data, at + 6)[0]}"


def _soa(data: bytes, at: int, _length: int) -> str:
    primary, at = _name(data, at)
    mailbox, at = _name(data, at)
    return " ".join([primary, mailbox, *map(str, struct.unpack_from("!5I", data, at))])


def _txt(data: bytes, at: int, length: int) -> str:
    text, end = b"", at + length
    while at < end:
        text += data[at + 1 : min(end, at + 1 + data[at])]
        at += 1 + data[at]
    return text.decode("utf-8", "backslashreplace")


def _caa(data: bytes, at: int, length: int) -> str:
    flags, size = data[at], data[at + 1]
    tag = data[at + 2 : at + 2 + size].decode("ascii", "backslashreplace").lower()
    return f'{flags} {tag} "{data[at + 2 + size : at + length].decode("utf-8", "backslashreplace")}"'


_READERS: Mapping[int, Callable[[bytes, int, int], str]] = {
    TYPES["A"]: _address, TYPES["AAAA"]: _address, TYPES["NS"]: _host, TYPES["CNAME"]: _host, TYPES["PTR"]: _host,
    TYPES["MX"]: _mx, TYPES["SRV"]: _srv, TYPES["SOA"]: _soa, TYPES["TXT"]: _txt, TYPES["CAA"]: _caa,
}  # fmt: skip


def normal(value: str, kind: int) -> str:
    """A value as a person writes it, in the form in which answers are read."""
    text = value.strip()
    if kind in (TYPES["A"], TYPES["AAAA"]):
        try:
            return str(ip_address(text))
        except ValueError:
            raise MessageError(f"{value!r} is not an address") from None
    if kind == TYPES["TXT"]:
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if kind == TYPES["CAA"]:
        flags, tag, issuer = [*text.split(None, 2), "", ""][:3]
        return f'{flags} {tag.lower()} "{issuer.strip(chr(34))}"'
    return " ".join(word.rstrip(".").lower() for word in text.split())
