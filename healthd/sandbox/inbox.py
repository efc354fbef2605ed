"""A local inbox that stands for Slack, PagerDuty and a signed webhook: refuses what they would refuse."""

from __future__ import annotations

import base64
import html
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from jinja2 import Environment

from healthd.sandbox.child import free_port
from healthd.sandbox.payloads import pagerduty_problems, slack_problem

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Received:
    """One message: accepted, or refused with the reason the real receiver would give."""

    at: str
    channel: str
    summary: str
    body: Any
    refused: str = ""


class Inbox:
    """Listens on one port; `messages` holds the newest last. `on_message` hears of each as it comes."""

    def __init__(self, on_message: Callable[[Received], None], port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.routing_key = secrets.token_hex(16)
        self.webhook_secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self._slack_path = f"/slack/services/T0SANDBOX/B0SANDBOX/{secrets.token_hex(12)}"
        self.messages: deque[Received] = deque(maxlen=_KEPT)
        self._on_message = on_message
        self._runner: web.AppRunner | None = None

    @property
    def slack_url(self) -> str:
        return self.url + self._slack_path

    @property
    def pagerduty_url(self) -> str:
        return self.url + "/pagerduty/v2/enqueue"

    @property
    def webhook_url(self) -> str:
        return self.url + "/webhook"

    def settings(self) -> dict[str, str]:
        """What a daemon needs to tell it."""
        return {
            "HEALTHD_SLACK_WEBHOOK_URL": self.slack_url,
            "HEALTHD_PAGERDUTY_ROUTING_KEY": self.routing_key,
            "HEALTHD_PAGERDUTY_URL": self.pagerduty_url,
            "HEALTHD_WEBHOOK_URL": self.webhook_url,
            "HEALTHD_WEBHOOK_SECRET": self.webhook_secret,
        }

    async def start(self) -> None:
        """Listen."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/messages", self._json),
                web.post(self._slack_path, self._slack),
                web.post("/pagerduty/v2/enqueue", self._pagerduty),
                web.post("/pagerduty/v2/change/enqueue", self._change),
                web.post("/webhook", self._webhook),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _keep(self, channel: str, summary: str, body: Any, refused: str = "") -> None:
        message = Received(datetime.now(UTC).isoformat(timespec="seconds"), channel, summary, body, refused)
        self.messages.append(message)
        self._on_message(message)

    async def _slack(self, request: web.Request) -> web.Response:
        """Slack answers in plain text: ok, or a word for what is wrong."""
        body = _json_object(await request.text())
        refused = slack_problem(body)
        self._keep("Slack", _slack_summary(body), body, refused)
        return web.Response(text=refused or "ok", status=400 if refused else 200)

    async def _pagerduty(self, request: web.Request) -> web.Response:
        body = _json_object(await request.text())
        problems = pagerduty_problems(body, self.routing_key)
        self._keep("PagerDuty", _pagerduty_summary(body), body, "; ".join(problems))
        if problems:
            refusal = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
            return web.json_response(refusal, status=400)
        key = (body or {}).get("dedup_key") or secrets.token_hex(16)
        answer = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(answer, status=202)

    async def _change(self, request: web.Request) -> web.Response:
        """A change event: what was rolled out."""
        body = _json_object(await request.text()) or {}
        summary = str((body.get("payload") or {}).get("summary") or "")
        refused = "" if summary and body.get("routing_key") == self.routing_key else "no summary, or an unknown key"
        self._keep("PagerDuty", f"change: {summary}", body, refused)
        return web.json_response({"status": refused or "success"}, status=400 if refused else 202)

    async def _webhook(self, request: web.Request) -> web.Response:
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError

        text = await request.text()
        body = _json_object(text)
        refused = "" if body is not None else "not a JSON object"
        try:
            Webhook(self.webhook_secret).verify(text, {name.lower(): value for name, value in request.headers.items()})
        except (WebhookVerificationError, ValueError) as error:
            refused = f"signature: {error}"
        self._keep("webhook", _webhook_summary(body), body, refused)
        return web.Response(status=401, text=refused) if refused else web.Response(status=204)

    async def _json(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(message) for message in self.messages])

    async def _page(self, _: web.Request) -> web.Response:
        page = _TEMPLATE.render(messages=list(reversed(self.messages)))
        return web.Response(text=page, content_type="text/html")


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _slack_summary(body: Mapping[str, Any] | None) -> str:
    """Its text; Slack's three entities as the characters they stand for."""
    return html.unescape(str((body or {}).get("text") or "(blocks only)"))


def _webhook_summary(body: Mapping[str, Any] | None) -> str:
    match body:
        case {"type": kind, "data": {"incident": {"title": title}}}:
            return f"{kind}: {title}"
        case {"type": kind}:
            return str(kind)
    return "(no type)"


def _pagerduty_summary(body: Mapping[str, Any] | None) -> str:
    body = body or {}
    summary = (body.get("payload") or {}).get("summary") or body.get("dedup_key") or ""
    return f"{body.get('event_action', '?')}: {summary}"


_TEMPLATE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5"><title>Sandbox inbox ({{ messages|length }})</title>
<link rel="icon" href="data:,">
<style>
 :root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
 body { max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem }
 article { border-left: 4px solid #888; margin: .8rem 0; padding: .2rem .9rem }
 .Slack { border-color: #4a9d6f } .PagerDuty { border-color: #2f7fd1 } .webhook { border-color: #9a6fd1 }
 .refused { color: #c0392b } time { color: #888 } pre { overflow-x: auto; font-size: 13px }
</style></head><body>
<h1>Inbox</h1>
<p>What healthd sent to this sandbox's Slack, PagerDuty and webhook, newest first.
The same as <a href="/messages">JSON</a>.</p>
{% for m in messages %}<article class="{{ m.channel }}"><strong>{{ m.channel }}</strong> <time>{{ m.at }}</time>
<div>{{ m.summary }}</div>{% if m.refused %}<div class="refused">Refused: {{ m.refused }}</div>{% endif %}
<details><summary>Payload</summary><pre>{{ m.body|tojson(indent=2) }}</pre></details></article>
{% else %}<p>Nothing yet. (In a sandbox: <code>healthd sandbox break FAULT</code>)</p>{% endfor %}
</body></html>""")
