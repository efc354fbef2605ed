"""Packets of Socket.IO (protocol 5) inside those of Engine.IO (protocol 4), as far as text goes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

OPEN, CLOSE, PING, PONG = "0", "1", "2", "3"
CONNECT, EVENT, ACK, CONNECT_ERROR = "40", "42", "43", "44"
DISCONNECT = "41"
# an event or acknowledgement that carries binary data says how many frames of it follow: 451-["blob",{...}]
_BINARY = {"45": EVENT, "46": ACK}
_PACKET = re.compile(
    r"(?P<kind>4[0-4]|4[56](?=\d+-))(?:(?<=[56])\d+-)?(?P<namespace>/[^,]*,)?(?P<id>\d*)(?P<data>.*)", re.DOTALL
)


class PacketError(Exception):
    """Not what Socket.IO would send."""


@dataclass(frozen=True, slots=True)
class Packet:
    """`kind` is one of the constants. `data` is its JSON; `id` the number of an acknowledgement."""

    kind: str
    data: Any = None
    namespace: str = "/"
    id: int | None = None


def socketio_url(url: str) -> str:
    """Where Engine.IO takes WebSockets: under /socket.io/ unless the URL has a path."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, "EIO=4&transport=websocket"]))
    path = parts.path if parts.path not in ("", "/") else "/socket.io/"
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def encode(packet: Packet) -> str:
    """As it goes over the wire."""
    namespace = f"{packet.namespace}," if packet.namespace != "/" else ""
    number = str(packet.id) if packet.id is not None else ""
    data = json.dumps(packet.data, separators=(",", ":")) if packet.data is not None else ""
    return packet.kind + namespace + number + data


def decode(text: str) -> Packet:
    """Read a packet; what is binary in it stands as a placeholder. Raises PacketError."""
    try:
        if match := _PACKET.fullmatch(text):
            namespace = (match["namespace"] or "/").rstrip(",").partition("?")[0]
            data = json.loads(match["data"]) if match["data"] else None
            kind = _BINARY.get(match["kind"], match["kind"])
            return Packet(kind, data, namespace, int(match["id"]) if match["id"] else None)
        if text[:1] == OPEN:
            return Packet(OPEN, json.loads(text[1:]))
    except (ValueError, RecursionError):
        raise PacketError("its data is not JSON") from None
    if text[:1] in (CLOSE, PING, PONG, "6"):
        return Packet(text[0])
    raise PacketError("no packet of Socket.IO")


def ping_interval(opened: Packet) -> float | None:
    """Seconds between the server's pings, from its first packet. Raises PacketError when it is none."""
    if opened.kind != OPEN or not isinstance(opened.data, Mapping):
        raise PacketError("no open packet of Engine.IO")
    interval = opened.data.get("pingInterval")
    return interval / 1000 if isinstance(interval, int | float) else None
