"""The websocket probe against real WebSocket servers, one that speaks Socket.IO, and some that misbehave."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import WSMsgType, web
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.process import free_port
from tests.servers.web import web_server


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["websocket"]) as looker:
        yield looker


@asynccontextmanager
async def talking(handle: Any, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[str]:
    """A server whose handler is given each open WebSocket and its request."""

    async def take(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(**options)
        await socket.prepare(request)
        await handle(socket, request)
        return socket

    async with web_server({"GET /{path:.*}": take}, tls) as url:
        yield url.replace("http", "ws", 1)


async def echo(socket: web.WebSocketResponse, _request: web.Request) -> None:
    await socket.send_str("welcome")
    async for message in socket:
        if message.data == "bye":
            await socket.close(code=4001, message=b"as you wish")
        else:
            await socket.send_str(f"you said {message.data}")


# -- plain WebSockets


async def test_handshake_and_ping(look: Looker) -> None:
    async with talking(echo) as url:
        seen = await look(url=f"{url}/sync")
    measured = values(seen)
    assert (measured["up"], measured["status"], seen.note) == (1, 101, "")
    assert 0 < float(measured["ping_time"]) < 2
    assert 0 < float(measured["handshake_time"]) < 2
    assert "round_trip_time" not in measured


async def test_a_message_and_its_answer(look: Looker) -> None:
    async with talking(echo) as url:
        seen = await look(url=url, send="hello", expect="^you said hello$")
        assert values(seen)["up"] == 1
        assert 0 < float(values(seen)["round_trip_time"]) < 2
        assert values(await look(url=url, expect="welcome"))["messages"] == 1
        said = {"ask": "time", "id": 3}
        seen = await look(url=url, send_json=said, expect="you said " + json.dumps(said).replace("{", "\\{"))
        assert values(seen)["up"] == 1


async def test_json_answers_are_looked_for_among_others(look: Looker) -> None:
    async def feed(socket: web.WebSocketResponse, _request: web.Request) -> None:
        for n in range(5):
            await socket.send_json({"tick": n})
        await socket.send_bytes(b'{"type": "ready", "rooms": 3}')
        await socket.receive()

    async with talking(feed) as url:
        seen = await look(url=url, expect_json={"$.type": "ready", "$.rooms": "> 2"}, ping=False)
    assert values(seen)["up"] == 1
    assert values(seen)["messages"] == 6
    assert "ping_time" not in values(seen)


async def test_credentials_origin_and_subprotocol_are_sent(look: Looker) -> None:
    heads: list[Any] = []

    async def note(socket: web.WebSocketResponse, request: web.Request) -> None:
        heads.append((request.headers, request.query))
        await socket.receive()

    async with talking(note, protocols=("v2.sync",)) as url:
        seen = await look(
            url=f"{url}/?token=abcdefghij", auth={"bearer": "t-123456"}, headers={"X-Room": "red"},
            origin="https://app.example.com", subprotocols=["v1.sync", "v2.sync"],
        )  # fmt: skip
        assert values(seen)["subprotocol"] == "v2.sync"
        head, query = heads[0]
        assert (head["Authorization"], head["X-Room"]) == ("Bearer t-123456", "red")
        assert (head["Origin"], query["token"]) == ("https://app.example.com", "abcdefghij")
        seen = await look(url=url, subprotocols="v9")
        assert (values(seen)["up"], values(seen)["subprotocol"]) == (0, "none")
        assert seen.note == "the server speaks none of v9"


async def test_tls(look: Looker, tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with talking(echo, tls=context) as url:
        assert url.startswith("wss://")
        assert values(await look(url=url, tls={"ca_file": tmp_path / "ca.pem"}))["up"] == 1
        seen = await look(url=url)
    assert values(seen) == {"up": 0}
    assert seen.note.startswith("TLS: certificate is not from a trusted issuer")


@pytest.mark.probe("websocket")
async def test_a_connection_is_held(look: Looker) -> None:
    async with talking(echo) as url:
        seen = await look(url=url, hold="200ms")
    assert values(seen)["up"] == 1
    assert 0.19 < float(values(seen)["held"]) < 1


# -- WebSockets that fail


async def test_a_connection_that_does_not_last(look: Looker) -> None:
    async def idle(socket: web.WebSocketResponse, _request: web.Request) -> None:
        await socket.send_str("one")
        await socket.close(code=1001, message=b"idle for too long")

    async with talking(idle) as url:
        seen = await look(url=url, hold="10s", ping=False)
    assert values(seen)["up"] == 0
    assert float(values(seen)["held"]) < 1
    assert seen.note == "closed by the server with code 1001 idle for too long, while holding the connection"


@pytest.mark.parametrize(
    ("handler", "note"),
    [
        (odd.answers(b"no", status="403 Forbidden"), "status 403, expected 101: no WebSocket was opened"),
        (odd.answers(b"page"), "status 200, expected 101: no WebSocket was opened"),
        (odd.answers(b"", "Location: http://127.0.0.1:1/", status="302 Found"), "status 302, expected 101: a redirect"),
        (odd.closes, "connection closed by the server before any answer"),
        (odd.says(b"SSH-2.0-x\r\n\r\n"), "not HTTP"),
        (
            odd.says(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: wrong\r\n\r\n"
            ),
            "not a WebSocket handshake: invalid challenge response",
        ),
    ],
)
async def test_what_is_no_websocket(look: Looker, handler: odd.Handler, note: str) -> None:
    async with odd.serving(handler) as server:
        seen = await look(url=server.url.replace("http", "ws"))
    assert values(seen)["up"] == 0
    assert seen.note.startswith(note)


@pytest.mark.probe_failure("websocket")
async def test_nothing_listens(look: Looker) -> None:
    seen = await look(url=f"ws://127.0.0.1:{free_port()}/")
    assert (values(seen), seen.note) == ({"up": 0}, "connection refused")


async def shake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The server's side of a handshake, on a bare socket."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = next(line[19:].strip() for line in head.splitlines() if line.lower().startswith(b"sec-websocket-key"))
    accepted = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
    )
    await writer.drain()


async def test_a_server_that_falls_silent(look: Looker) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        await asyncio.Event().wait()

    look.timeout = timedelta(seconds=1)
    async with odd.serving(silent) as server:
        url = server.url.replace("http", "ws")
        began = asyncio.get_running_loop().time()
        seen = await look(url=url)
        assert seen.note == "no answer within 1s (waiting for the answer to a ping)"
        assert values(seen)["status"] == 101
        seen = await look(url=url, ping=False, send="x", expect="y")
        assert seen.note == "no answer within 1s (waiting for the message that is expected)"
        assert asyncio.get_running_loop().time() - began < 10


async def test_frames_that_are_wrong_or_too_long(look: Looker) -> None:
    def frames(data: bytes) -> odd.Handler:
        async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await shake(reader, writer)
            writer.write(data)
            await writer.drain()
            await reader.read()

        return send

    look.limits = replace(ProbeLimits(), max_body_bytes=1000)
    long = b"\x81\x7e" + (5000).to_bytes(2, "big") + b"x" * 5000
    for data in (b"\xff\xff\xff\xff", long):
        async with odd.serving(frames(data)) as server:
            seen = await look(url=server.url.replace("http", "ws"))
        assert values(seen)["up"] == 0
        assert seen.note.startswith("what came is not right")


async def test_an_unexpected_answer_is_shown_without_secrets(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    async with talking(echo) as url:
        seen = await look(url=url, send="secret-word", expect_json={"$.a": 1})
    assert (
        seen.note == "no answer within 1s (waiting for the message that is expected; 2 came, the last: it is not JSON)"
    )
    assert evidence(seen, "last messages") == "welcome\nyou said <redacted>"


async def test_the_server_says_why_it_closes(look: Looker) -> None:
    async with talking(echo) as url:
        seen = await look(url=url, send="bye", expect="never")
    assert seen.note.startswith("closed by the server with code 4001 as you wish, while waiting for the message")


async def test_a_cancelled_look_leaves_no_connection(look: Looker) -> None:
    there, gone = asyncio.Event(), asyncio.Event()

    async def wait(socket: web.WebSocketResponse, _request: web.Request) -> None:
        there.set()
        await socket.receive()
        gone.set()

    async with talking(wait) as url:
        task = asyncio.create_task(look(url=url, expect="never", ping=False))
        await asyncio.wait_for(there.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 20)


# -- Socket.IO


class SocketIoServer:
    """Engine.IO 4 and Socket.IO 5, the namespaces / and /sync; /sync wants a token."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.ponged = asyncio.Event()

    async def __call__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.paths.append(request.path_qs)
        opened = {"sid": "s1", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}
        await socket.send_str("0" + json.dumps(opened))
        await socket.send_str("2")
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self.take(socket, message.data)

    async def take(self, socket: web.WebSocketResponse, text: str) -> None:
        if text == "3":
            self.ponged.set()
        elif text == "40":
            await socket.send_str('40{"sid":"n0"}')
        elif text.startswith("40/sync,"):
            granted = json.loads(text[8:] or "{}").get("token") == "letmein-123"
            await socket.send_str('40/sync,{"sid":"n1"}' if granted else '44/sync,{"message":"not authorized"}')
        elif text.startswith("42/sync,0["):
            event, *arguments = json.loads(text[9:])
            await socket.send_str("43/sync,0" + json.dumps([{"event": event, "got": arguments}]))
        elif text.startswith("42/sync,["):
            await socket.send_str('42/other,["room:joined",{"room":"wrong"}]')
            await socket.send_str('42/sync,["presence",1]')
            await socket.send_str('42/sync,["room:joined",{"room":"TEST1234","members":2}]')


SYNC = {"namespace": "/sync", "auth": {"token": "letmein-123"}}


async def test_socketio_connects_to_a_namespace_and_answers_pings(look: Looker) -> None:
    server = SocketIoServer()
    async with talking(server) as url:
        seen = await look(url=url, socketio=SYNC, hold="50ms")
        assert values(seen)["up"] == 1, seen.note
        await asyncio.wait_for(server.ponged.wait(), 20)
        assert values(await look(url=f"{url}/live/?x=1", socketio={}))["up"] == 1
    assert values(seen)["ping_interval"] == 25
    assert float(values(seen)["namespace_time"]) > 0
    assert server.paths == ["/socket.io/?EIO=4&transport=websocket", "/live/?x=1&EIO=4&transport=websocket"]


async def test_socketio_events_make_a_round_trip(look: Looker) -> None:
    async with talking(SocketIoServer()) as url:
        ask = {**SYNC, "emit": "room:join", "data": {"roomCode": "TEST1234"}}
        acknowledged = {"$.event": "room:join", "$.got[0].roomCode": "TEST1234"}
        seen = await look(url=url, socketio=ask, expect_json=acknowledged)
        assert values(seen)["up"] == 1, seen.note
        assert float(values(seen)["round_trip_time"]) > 0
        seen = await look(url=url, socketio={**ask, "answer": "room:joined"}, expect_json={"$.members": ">= 2"})
        assert values(seen)["up"] == 1, seen.note
        seen = await look(url=url, socketio={**ask, "answer": "room:joined"}, expect_json={"$.members": "> 2"})
        assert (values(seen)["up"], seen.note) == (0, "$.members is 2, expected > 2")


async def test_socketio_events_may_carry_binary_data(look: Looker) -> None:
    class Binary(SocketIoServer):
        async def take(self, socket: web.WebSocketResponse, text: str) -> None:
            if not text.startswith("42/sync,"):
                await super().take(socket, text)
                return
            acknowledged = text.startswith("42/sync,0")
            await socket.send_str('452-/sync,["frame",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
            await socket.send_bytes(b"7 begins like a packet")
            await socket.send_bytes(b"42/other")
            blob = '{"name":"a.png","data":{"_placeholder":true,"num":0}}'
            await socket.send_str(f"461-/sync,0[{blob}]" if acknowledged else f'451-/sync,["picture",{blob}]')
            await socket.send_bytes(b"\x89PNG")

    async with talking(Binary()) as url:
        for answer in ({}, {"answer": "picture"}):
            seen = await look(url=url, socketio={**SYNC, "emit": "show", **answer}, expect_json={"$.name": "a.png"})
            assert values(seen)["up"] == 1, seen.note


async def test_socketio_refusals(look: Looker) -> None:
    async with talking(SocketIoServer()) as url:
        seen = await look(url=url, socketio={"namespace": "/sync", "auth": {"token": "wrong"}})
    assert (values(seen)["up"], seen.note) == (0, "the namespace /sync refused: not authorized")
    async with talking(echo) as url:
        seen = await look(url=url, socketio={})
    assert seen.note.startswith("not Socket.IO: no packet of Socket.IO, while waiting for the open packet")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"url": "ftp://h/"}, "not the address of a WebSocket"),
        ({"url": "ws://u:p@h/"}, "under auth"),
        ({"url": "ws://h/", "send": "a", "send_json": 1}, "one of send and send_json"),
        ({"url": "ws://h/", "socketio": {}, "send": "a"}, "a message is an event"),
        ({"url": "ws://h/", "socketio": {}, "expect": "a"}, "name the event"),
        ({"url": "ws://h/", "socketio": {"data": 1}}, "goes with an event"),
        ({"url": "ws://h/", "expect_json": {"$..x": 1}}, "not a JSON path"),
    ],
)
def test_mistakes_are_found_at_loading(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["websocket"].Params(**params)
