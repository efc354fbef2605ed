"""A production that says back every secret it is given, in every encoding, and markup: nothing of it gets anywhere."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urljoin, urlsplit

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon

PASSWORD, BEARER, QUERY = "hunter2/+&Zq!x", "tok-ZZ-5f/7+9~q", "qu3ry-s3cr3t"
HEADER, ROUTING, HOOK = "h34der val/ue&", "r0ut1ngkey" * 3 + "ab", "h00kp4th5ecret"
SIGNING = base64.b64encode(b"s1gning-key-of-24-bytes!").decode()
DATABASE, ARGUMENT = "pgS3cr3t/x@y", "4rgument-s3cret"
SECRETS = (PASSWORD, BEARER, QUERY, HEADER, ROUTING, HOOK, SIGNING, DATABASE, ARGUMENT)
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>[red]\x1b[31m\u202e"


class Echo(BaseHTTPRequestHandler):
    """Answers 500 with all it was asked, in some encodings."""

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        given = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        basic = re.findall(r"Basic (\S+)", given)
        decoded = [base64.b64decode(text).decode() for text in basic]
        said = [MARKUP, given, *decoded, self.path, unquote(self.path), sent, quote(given, safe=""), repr(given)]
        body = "\n".join([*said, base64.b64encode(given.encode()).decode()]).encode("utf-8", "replace")
        self.send_response(500, "no " + unquote(self.path).replace("\n", ""))
        self.send_header("Server", (self.headers.get("Authorization") or "x").replace("\n", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - names of the standard library

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def echo() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


CATALOGUE = """
system: {title: "Shop <script>alert(1)</script>", timezone: UTC}
checks:
- name: basic
  every: 2s
  title: "<img src=x onerror=alert(1)>"
  runbook_url: "https://runbook.example/?a=<b>"
  probe: {type: http, url: "http://127.0.0.1:PORT/a", auth: {basic: {username: u, password: "${SHOP_PASSWORD}"}}}
- {name: bearer, every: 2s, probe: {type: http, url: "http://127.0.0.1:PORT/b", auth: {bearer: "${SHOP_TOKEN}"}}}
- {name: query, every: 2s, probe: {type: http, url: "http://127.0.0.1:PORT/c?key=${QUERY_KEY}&z=1"}}
- {name: header, every: 2s, probe: {type: http, url: "http://127.0.0.1:PORT/d", headers: {X-Any: "${HEADER_SECRET}"}}}
- {name: userinfo, every: 2s, probe: {type: http, url: "${URL_WITH_PASSWORD}"}}
- {name: database, every: 2s, probe: {type: postgres, url: "${DATABASE}"}}
- {name: cache, every: 2s, probe: {type: redis, url: "${CACHE}"}}
- {name: socket, every: 2s, probe: {type: websocket, url: "ws://127.0.0.1:PORT/ws?key=${QUERY_KEY}"}}
- name: port
  every: 2s
  probe: {type: tcp, host: 127.0.0.1, port: PORT, send: "GET /?${QUERY_KEY} HTTP/1.0\\r\\n\\r\\n", expect: "^never"}
- name: metrics
  every: 2s
  probe: {type: prometheus, url: "http://127.0.0.1:PORT", query: up, auth: {bearer: "${SHOP_TOKEN}"}}
- name: journey
  every: 2s
  probe:
    type: http_journey
    url: "http://127.0.0.1:PORT"
    steps:
    - {name: in, method: POST, url: /login, body_json: {password: "${SHOP_PASSWORD}"}}
- name: program
  every: 2s
  probe: {type: command, argv: [printf, "oh %s\\n", "${ARGUMENT_SECRET}"], extract: {n: "oh (.*)"}}
- {name: failing, every: 2s, probe: {type: command, argv: [ls, "/${ARGUMENT_SECRET}"]}}
channels:
  hook: {type: webhook, url: "http://127.0.0.1:PORT/hooks/${HOOK_SECRET}", secret: "whsec_${SIGNING_SECRET}"}
  pages: {type: pagerduty, url: "http://127.0.0.1:PORT/enqueue", routing_key: "${ROUTING_KEY}"}
  chat: {type: slack, webhook_url: "http://127.0.0.1:PORT/services/${HOOK_SECRET}"}
routes: [{channels: [hook, pages, chat]}]
"""


def variables(port: int) -> dict[str, str]:
    given = {
        "SHOP_PASSWORD": PASSWORD, "SHOP_TOKEN": BEARER, "QUERY_KEY": QUERY, "HEADER_SECRET": HEADER,
        "URL_WITH_PASSWORD": f"http://app:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/e",
        "DATABASE": f"postgresql://app:{quote(DATABASE, safe='')}@127.0.0.1:{port}/shop",
        "CACHE": f"redis://:{quote(DATABASE, safe='')}@127.0.0.1:{port}/0", "ARGUMENT_SECRET": ARGUMENT,
        "HOOK_SECRET": HOOK, "SIGNING_SECRET": SIGNING, "ROUTING_KEY": ROUTING,
    }  # fmt: skip
    return {f"ENV_{name}": value for name, value in given.items()} | {"allowed_commands": "printf,ls"}


def test_secrets_and_markup_get_nowhere(new_daemon: NewDaemon) -> None:
    with echo() as port:
        daemon = new_daemon(CATALOGUE.replace("PORT", str(port)), **variables(port)).start()
        daemon.until(lambda: daemon.get("/api/v1/incidents")["incidents"], what="an incident")
        daemon.until(lambda: _tried(daemon) >= {"hook", "pages", "chat"}, what="all channels tried")
        daemon.until(lambda: all(c["last_run"] for c in _checks(daemon)), what="every check looked")
        pages = dict(_walk(daemon))
        code, told = daemon.command("check", "--system", "shop")
    daemon.stop()
    files = {path.name: path.read_bytes() for path in daemon.folder.glob("healthd.*")}
    shown = {**pages, "check": told, **{name: data.decode(errors="replace") for name, data in files.items()}}
    assert len(pages) > 25
    assert code == 2
    leaks = {
        (where, secret)
        for where, text in shown.items()
        for secret in SECRETS
        for form in _forms(secret)
        if form in text
    }
    assert not leaks
    for name in ("basic", "bearer", "query", "header", "journey", "program"):  # it was said, and taken out
        assert "&lt;redacted&gt;" in pages[f"/checks/shop/{name}"], name
    assert "&lt;script&gt;alert(1)" in pages["/checks/shop/basic"]
    assert "\x1b" not in told
    assert "\u202e" not in told
    for where, text in pages.items():
        if text.lstrip().startswith("<!"):
            _assert_inert(where, text)


def _checks(daemon: Daemon) -> list[dict[str, str]]:
    return daemon.get("/api/v1/checks?limit=100")["checks"]  # type: ignore[no-any-return]


def _tried(daemon: Daemon) -> set[str]:
    return set(
        re.findall(r'healthd_notifications_total\{channel="(\w+)",outcome="[^"]+"[^}]*\} [1-9]', daemon.metrics())
    )


def _walk(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Every page and document that can be reached by links, and the API."""
    waiting, seen = (
        [
            "/",
            "/metrics",
            *(f"/checks/{c['id']}" for c in _checks(daemon)),
            "/audit",
            "/configuration",
            "/api/v1/openapi.json",
        ],
        set[str](),
    )
    waiting += [f"/api/v1/{name}" for name in ("checks", "incidents", "systems", "channels", "reports", "status")]
    while waiting and len(seen) < 70:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = daemon.http.get(path)
        yield path, answer.text
        for link in (
            re.findall(r'href="([^"#]+)', answer.text) if "html" in answer.headers.get("content-type", "") else ()
        ):
            target = urljoin(f"{daemon.url}{path}", link.replace("&amp;", "&"))
            if target.startswith(daemon.url):
                parts = urlsplit(target)
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))


def _forms(secret: str) -> set[str]:
    encoded = (
        {base64.b64encode(b" " * k + secret.encode()).decode()[4:-4] for k in range(3)} if len(secret) > 9 else set()
    )
    return {secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1], *encoded}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        inline = tag == "script" and not found.get("src") and found.get("type") != "application/json"
        scheme = any(
            (found.get(name) or "").strip().lower().startswith(("javascript:", "data:text")) for name in ("href", "src")
        )
        if inline or scheme or tag in ("iframe", "object") or any(name.startswith("on") for name in found):
            self.bad.append(f"{tag} {found}")


def _assert_inert(where: str, text: str) -> None:
    tags = _Tags()
    tags.feed(text)
    assert not tags.bad, (where, tags.bad)
    assert "\u202e" not in text, where
