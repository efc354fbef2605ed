"""One open WebSocket: messages as they come, pings answered and asked, nothing kept without a limit."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

_UNREAD_MAX = 100  # messages that came while something else was awaited
_SHOWN = 5
_SHOWN_CHARS = 4000


class EndedError(Exception):
    """The server closed the connection, or sent what is no WebSocket frame."""


class Conversation:
    """Reads and writes. `seen` are the last messages, cut; `count` is how many came.

    With `text_only`, binary messages are seen and counted, and not handed out: Socket.IO's attachments.
    """

    def __init__(self, socket: ClientWebSocketResponse, *, text_only: bool = False) -> None:
        self._socket, self._text_only = socket, text_only
        self._unread: deque[str] = deque(maxlen=_UNREAD_MAX)
        self._answered = False
        self.seen: deque[str] = deque(maxlen=_SHOWN)
        self.count = 0

    async def send(self, text: str) -> None:
        """Send a text message. Raises EndedError."""
        try:
            await self._socket.send_str(text)
        except (ConnectionError, RuntimeError):
            raise EndedError("the connection was closed by the server") from None

    async def message(self) -> str:
        """The next message, as text whatever it holds. Raises EndedError."""
        if self._unread:
            return self._unread.popleft()
        while (message := await self._frame()) is None:
            pass
        return message

    async def ping(self) -> float:
        """Seconds until a ping is answered. Raises EndedError."""
        payload, began = b"healthd", perf_counter()
        try:
            await self._socket.ping(payload)
        except (ConnectionError, RuntimeError):
            raise EndedError("the connection was closed by the server") from None
        while True:
            message = await self._frame(pong=payload)
            if message is None and self._answered:
                return perf_counter() - began
            if message is not None:
                self._unread.append(message)

    async def _frame(self, pong: bytes | None = None) -> str | None:
        """A message, or None for anything else; `_answered` says whether that was the awaited pong."""
        self._answered = False
        frame: Any = await self._socket.receive()
        match frame.type:
            case WSMsgType.TEXT:
                return self._came(frame.data)
            case WSMsgType.BINARY:
                text = self._came(frame.data.decode("utf-8", "replace"))
                return None if self._text_only else text
            case WSMsgType.PING:
                await self._socket.pong(frame.data)
            case WSMsgType.PONG:
                self._answered = frame.data == pong
            case WSMsgType.ERROR:
                raise EndedError(f"what came is not right: {frame.data}")
            case _:
                raise EndedError(_farewell(self._socket, frame))
        return None

    def _came(self, text: str) -> str:
        self.count += 1
        self.seen.append(text[:_SHOWN_CHARS])
        return text


def _farewell(socket: ClientWebSocketResponse, frame: Any) -> str:
    code = socket.close_code
    if code is None or code == 1006:
        return "the connection was cut by the server"
    reason = f" {frame.extra}" if isinstance(frame.extra, str) and frame.extra else ""
    return f"closed by the server with code {code}{reason}"
