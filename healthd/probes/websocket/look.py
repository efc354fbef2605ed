"""The steps of a look: handshake, Socket.IO's own greeting, ping, a message and its answer, holding the line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from aiohttp import ClientWebSocketResponse

from healthd.model.outcomes import Measurement
from healthd.model.units import Unit
from healthd.probes.base import ProbeContext
from healthd.probes.http.assertions import json_problems
from healthd.probes.patterns import apart_if_costly, search
from healthd.probes.websocket import packets
from healthd.probes.websocket.conversation import Conversation, EndedError
from healthd.probes.websocket.handshake import UnexpectedError, connected
from healthd.probes.websocket.packets import Packet
from healthd.probes.websocket.params import SocketIo, WebSocketParams

_LOOKED_THROUGH = 1000  # messages that are not the awaited one


@dataclass(slots=True)
class Look:
    """What has been seen so far, and what is being waited for: kept outside, so that a failure can tell."""

    params: WebSocketParams
    context: ProbeContext
    doing: str = ""
    measurements: list[Measurement] = field(default_factory=list)
    conversation: Conversation | None = None

    async def run(self) -> None:
        """Everything the parameters ask for.

        Raises UnexpectedError, EndedError, PacketError, aiohttp's errors, OSError.
        """
        began = perf_counter()
        async with connected(self.params, self.context) as socket:
            self._seconds("handshake_time", perf_counter() - began)
            self._add("status", 101.0, Unit.COUNT)
            talk = self.conversation = Conversation(socket, text_only=self.params.socketio is not None)
            self._subprotocol(socket)
            if self.params.socketio is not None:
                await self._enter(talk, self.params.socketio)
            if self.params.ping:
                self.doing = "waiting for the answer to a ping"
                self._seconds("ping_time", await talk.ping())
            if self.params.socketio is not None:
                await self._event(talk, self.params.socketio)
            else:
                await self._message(talk)
            if self.params.hold:
                await self._hold(talk)

    def _subprotocol(self, socket: ClientWebSocketResponse) -> None:
        if not self.params.subprotocols:
            return
        self._add("subprotocol", socket.protocol or "none", Unit.TEXT)
        if socket.protocol is None:
            raise UnexpectedError(f"the server speaks none of {', '.join(self.params.subprotocols)}")

    async def _enter(self, talk: Conversation, io: SocketIo) -> None:
        self.doing = "waiting for the open packet of Engine.IO"
        interval = packets.ping_interval(packets.decode(await talk.message()))
        if interval is not None:
            self._seconds("ping_interval", interval)
        self.doing, began = f"connecting to the namespace {io.namespace}", perf_counter()
        auth = {name: value.get_secret_value() for name, value in io.auth.items()}
        await talk.send(packets.encode(Packet(packets.CONNECT, auth or None, io.namespace)))
        while (await self._packet(talk, io)).kind != packets.CONNECT:
            continue
        self._seconds("namespace_time", perf_counter() - began)

    async def _event(self, talk: Conversation, io: SocketIo) -> None:
        if not self.params.exchanges:
            return
        began = perf_counter()
        if io.emit is not None:
            number = None if io.answer is not None else 0
            await talk.send(packets.encode(Packet(packets.EVENT, io.event(), io.namespace, number)))
        self.doing = f"waiting for the event {io.answer}" if io.answer else f"waiting for {io.emit} to be acknowledged"
        wanted = (packets.EVENT,) if io.answer is not None else (packets.ACK,)
        missed = 0
        while missed < _LOOKED_THROUGH:
            packet = await self._packet(talk, io)
            if packet.kind not in wanted or not isinstance(packet.data, list):
                continue
            arguments = packet.data[1:] if packet.kind == packets.EVENT else packet.data
            if packet.kind == packets.EVENT and packet.data[:1] != [io.answer]:
                missed += 1
                continue
            document = arguments[0] if len(arguments) == 1 else arguments
            await self._expected(document, json.dumps(document, ensure_ascii=False))
            self._seconds("round_trip_time", perf_counter() - began)
            return
        raise UnexpectedError(f"{missed} other events came, and no {io.answer}")

    async def _packet(self, talk: Conversation, io: SocketIo) -> Packet:
        """The next packet of our namespace; Engine.IO's pings are answered."""
        while True:
            packet = packets.decode(await talk.message())
            if packet.kind == packets.PING:
                await talk.send(packets.PONG)
            elif packet.kind == packets.CLOSE:
                raise EndedError("closed by the server (Engine.IO)")
            elif packet.namespace == io.namespace:
                if packet.kind in (packets.CONNECT_ERROR, packets.DISCONNECT):
                    raise UnexpectedError(f"the namespace {io.namespace} {_refusal(packet)}")
                return packet

    async def _message(self, talk: Conversation) -> None:
        text = self.params.text()
        began = perf_counter()
        if text is not None:
            await talk.send(text)
        if not self.params.expects:
            return
        self.doing = "waiting for the message that is expected"
        problem = ""
        for _ in range(_LOOKED_THROUGH):
            answer = await talk.message()
            try:
                await self._expected(_document(answer) if self.params.expect_json else None, answer)
            except UnexpectedError as error:
                problem = str(error)
                self.doing = f"waiting for the message that is expected; {talk.count} came, the last: {problem}"
                continue
            self._seconds("round_trip_time", perf_counter() - began)
            return
        raise UnexpectedError(f"none of {_LOOKED_THROUGH} messages is as expected, the last: {problem}")

    async def _expected(self, document: Any, text: str) -> None:
        """Raises UnexpectedError unless the message is all that is expected."""
        if (pattern := self.params.expect) is not None:
            found = await apart_if_costly([(pattern, len(text))], partial(search, pattern, text))
            if found is None:
                raise UnexpectedError(f"it does not match {pattern!r}")
        for path, condition in self.params.expect_json.items():
            for problem in json_problems(path, condition, document, "the message"):
                raise UnexpectedError(problem)

    async def _hold(self, talk: Conversation) -> None:
        self.doing, began, io = "holding the connection", perf_counter(), self.params.socketio
        try:
            async with asyncio.timeout(self.params.hold.total_seconds()):
                while True:
                    await (talk.message() if io is None else self._packet(talk, io))
        except TimeoutError:
            pass
        finally:
            self._seconds("held", perf_counter() - began)

    def _seconds(self, name: str, value: float) -> None:
        self._add(name, value, Unit.SECONDS)

    def _add(self, name: str, value: float | str, unit: Unit) -> None:
        self.measurements.append(Measurement(name, value, unit))


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnexpectedError("it is not JSON") from None


def _refusal(packet: Packet) -> str:
    if packet.kind == packets.DISCONNECT:
        return "was closed by the server"
    message = packet.data.get("message") if isinstance(packet.data, dict) else packet.data
    return f"refused: {str(message)[:200]}"
