"""A local Slack Web API, as far as messages go: keeps what is posted, edits and refuses as the documents say.

with SlackServer() as slack:
    slack.fail("chat.postMessage", "ratelimited")     # once
    ... call slack.url ...
    slack.messages, slack.calls
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import pytest

TOKEN = "xoxb-111111111111-verysecrettoken"
READS = ("conversations.history", "conversations.replies", "conversations.list")


@dataclass
class Call:
    method: str
    arguments: dict[str, Any]


class SlackServer:
    """Channels #ops (C0OPS) and #loud (C0LOUD) exist; `messages` are in the order they were posted."""

    def __init__(self) -> None:
        self.channels = {"ops": "C0OPS", "loud": "C0LOUD"}
        self.messages: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self._failures: dict[str, deque[Any]] = defaultdict(deque)
        self._count = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"slack": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api"

    def fail(self, method: str, *answers: Any) -> None:
        """The next calls of `method`: an error's word; an HTTP (status, headers); "drop" to act and not answer."""
        self._failures[method].extend(answers)

    def of(self, method: str) -> list[dict[str, Any]]:
        """The arguments of the calls of a method."""
        return [call.arguments for call in self.calls if call.method == method]

    def top(self, channel: str = "C0OPS") -> list[dict[str, Any]]:
        """What stands in a channel, without the replies."""
        return [m for m in self.messages if m["channel"] == channel and "thread_ts" not in m]

    def replies(self, ts: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m.get("thread_ts") == ts]

    def __enter__(self) -> SlackServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, arguments: dict[str, Any], token: str) -> Any:
        with self._lock:
            self.calls.append(Call(method, arguments))
            failure = self._failures[method].popleft() if self._failures[method] else None
            if token != f"Bearer {TOKEN}":
                return {"ok": False, "error": "invalid_auth"}
            if failure == "drop":
                self._act(method, arguments)
                return None
            if isinstance(failure, str):
                return {"ok": False, "error": failure, "needed": "chat:write"}
            return failure or self._act(method, arguments)

    def _act(self, method: str, arguments: dict[str, Any]) -> Any:
        act = getattr(self, "_" + method.replace(".", "_"), None)
        return act(arguments) if act else {"ok": False, "error": "unknown_method"}

    def _channel(self, name: str) -> str | None:
        known = self.channels.get(name.removeprefix("#"), name)
        return known if known in self.channels.values() else None

    def _chat_postMessage(self, arguments: dict[str, Any]) -> Any:
        channel = self._channel(arguments["channel"])
        if channel is None:
            return {"ok": False, "error": "channel_not_found"}
        if not arguments.get("text") or len(arguments.get("blocks", [])) > 50:
            return {"ok": False, "error": "invalid_blocks"}
        self._count += 1
        message = {**arguments, "channel": channel, "ts": f"1767366245.{self._count:06d}"}
        self.messages.append(message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _chat_update(self, arguments: dict[str, Any]) -> Any:
        if not arguments["channel"].startswith("C"):
            return {"ok": False, "error": "channel_not_found"}
        for message in self.messages:
            if (message["channel"], message["ts"]) == (arguments["channel"], arguments["ts"]):
                message |= {"text": arguments["text"], "blocks": arguments["blocks"], "edited": True}
                return {"ok": True, "channel": message["channel"], "ts": message["ts"]}
        return {"ok": False, "error": "message_not_found"}

    def _conversations_history(self, arguments: dict[str, Any]) -> Any:
        if not arguments["channel"].startswith("C"):
            return {"ok": False, "error": "channel_not_found"}
        return {"ok": True, "messages": list(reversed(self.top(arguments["channel"])))}

    def _conversations_replies(self, arguments: dict[str, Any]) -> Any:
        first = [m for m in self.messages if m["ts"] == arguments["ts"]]
        return {"ok": True, "messages": first + self.replies(arguments["ts"])}

    def _conversations_list(self, arguments: dict[str, Any]) -> Any:
        return {"ok": True, "channels": [{"id": id_, "name": name} for name, id_ in self.channels.items()]}

    def _conversations_create(self, arguments: dict[str, Any]) -> Any:
        name = arguments["name"]
        if name in self.channels:
            return {"ok": False, "error": "name_taken"}
        self.channels[name] = f"C{len(self.channels):03d}{name.upper().replace('-', '')}"
        return {"ok": True, "channel": {"id": self.channels[name], "name": name}}


class _Handler(BaseHTTPRequestHandler):
    slack: SlackServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        method = self.path.removeprefix("/api/")
        form = self.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
        assert form == (method in READS), f"{method} does not take {self.headers['Content-Type']}"
        arguments = dict(parse_qsl(body)) if form else json.loads(body)
        answer = self.slack.answer(method, arguments, self.headers.get("Authorization", ""))
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        status, headers = (200, {}) if isinstance(answer, dict) else answer
        content = json.dumps(answer).encode() if isinstance(answer, dict) else b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@pytest.fixture
def slack_server() -> Iterator[SlackServer]:
    """A fresh Slack."""
    with SlackServer() as server:
        yield server
