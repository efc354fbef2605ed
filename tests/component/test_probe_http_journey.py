"""The http_journey probe against a service with accounts: register, log in, call with the token."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from healthd.probes import PROBES
from tests.component.looking import Looker, looking, values
from tests.servers.process import free_port
from tests.servers.web import Handler, web_server


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["http_journey"]) as looker:
        yield looker


@dataclass
class Service:
    """Accounts in memory, tokens, a session cookie, a form with a CSRF field."""

    url: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    cookies_seen: list[dict[str, str]] = field(default_factory=list)
    broken: bool = False

    def handlers(self) -> dict[str, Handler]:
        return {
            "POST /api/register": self.register,
            "POST /api/login": self.login,
            "GET /api/me": self.me,
            "DELETE /api/users/{name}": self.remove,
            "GET /form": self.form,
            "POST /form": self.submit,
            "GET /home": self.home,
            "GET /hang": self.hang,
        }

    async def register(self, request: web.Request) -> web.Response:
        account = await request.json()
        if account["username"] in self.accounts:
            return web.json_response({"error": "taken"}, status=409)
        self.accounts[account["username"]] = account["password"]
        return web.json_response({"id": len(self.accounts)}, status=201, headers={"Location": "/api/me"})

    async def login(self, request: web.Request) -> web.Response:
        account = await request.json()
        if self.broken or self.accounts.get(account["username"]) != account["password"]:
            return web.json_response({"error": f"no access for {account['password']}"}, status=401)
        token = secrets.token_urlsafe(24)
        self.tokens[token] = account["username"]
        return web.json_response({"data": {"access": token}, "expires_in": 3600})

    async def me(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return web.json_response({"error": f"unknown {token}"}, status=403)
        return web.json_response({"name": self.tokens[token], "echo": f"you sent {token}", "queue": 7})

    async def remove(self, request: web.Request) -> web.Response:
        self.accounts.pop(request.match_info["name"])
        return web.Response(status=204)

    async def form(self, request: web.Request) -> web.Response:
        page = '<form><input name="csrf" value="c5rf & more"></form>'
        response = web.Response(text=page, content_type="text/html")
        response.set_cookie("visitor", "v-1")
        return response

    async def submit(self, request: web.Request) -> web.Response:
        self.cookies_seen.append(dict(request.cookies))
        sent = await request.post()
        if sent.get("csrf") != "c5rf & more":
            return web.Response(status=400, text=f"csrf was {sent.get('csrf')}")
        response = web.Response(status=302, headers={"Location": "/home"})
        response.set_cookie("session", "s-9", httponly=True)
        response.set_cookie("visitor", "v-2")
        return response

    async def home(self, request: web.Request) -> web.Response:
        self.cookies_seen.append(dict(request.cookies))
        return web.Response(text=f"cookies: {sorted(request.cookies)}")

    async def hang(self, request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    async with web_server(made.handlers()) as url:
        made.url = url
        yield made


ACCOUNT = {"username": "probe-{{run_id}}", "password": "Test123!"}
REGISTER = {"name": "register", "url": "/api/register", "method": "post", "body_json": ACCOUNT, "status": 201}
LOGIN = {
    "name": "login",
    "url": "/api/login",
    "method": "POST",
    "body_json": ACCOUNT,
    "expect_json": {"$.expires_in": ">= 60"},
    "capture": {"token": "$.data.access"},
}
ME = {"name": "me", "url": "/api/me", "auth": {"bearer": "{{token}}"}, "expect_json": {"$.queue": 7}}
LEAVE = {"name": "leave", "url": "/api/users/probe-{{ run_id }}", "method": "DELETE", "cleanup": True}


# -- journeys that arrive


async def test_register_log_in_and_call_with_the_token(service: Service, look: Looker) -> None:
    me = {**ME, "extract": {"queue": "$.queue"}}
    seen = await look(url=service.url, steps=[REGISTER, LOGIN, me, LEAVE])
    measured = values(seen)
    assert seen.note == ""
    assert (measured["up"], measured["steps_done"], measured["failed_step"]) == (1, 4, "none")
    assert [measured[f"step_status{{{n}}}"] for n in ("register", "login", "me", "leave")] == [201, 200, 200, 204]
    steps = sum(float(measured[f"step_latency{{{n}}}"]) for n in ("register", "login", "me", "leave"))
    assert 0 < steps <= float(measured["latency"])
    assert measured["queue"] == 7
    assert service.accounts == {}


async def test_each_look_has_its_own_run_id(service: Service, look: Looker) -> None:
    await look(url=service.url, steps=[REGISTER])
    await look(url=service.url, steps=[REGISTER])
    assert len(service.accounts) == 2


async def test_cookies_are_kept_over_steps_and_redirects_but_not_over_looks(service: Service, look: Looker) -> None:
    steps = [
        {"name": "open", "url": f"{service.url}/form", "capture": {"csrf": {"regex": 'name="csrf" value="([^"]*)"'}}},
        {
            "name": "submit",
            "url": "/form",  # at the server asked before
            "method": "POST",
            "body": "csrf=c5rf+%26+more",
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            "body_pattern": "session",
            "capture": {"sid": {"cookie": "session"}},
        },
        {"name": "again", "url": "/home?sid={{sid}}&c={{csrf}}"},
    ]
    for _ in range(2):
        seen = await look(steps=steps)
        assert values(seen)["up"] == 1, seen.note
        assert service.cookies_seen == [
            {"visitor": "v-1"},
            {"visitor": "v-2", "session": "s-9"},
            {"visitor": "v-2", "session": "s-9"},
        ]
        service.cookies_seen.clear()


@pytest.mark.probe("http_journey")
async def test_a_captured_address_is_followed(service: Service, look: Looker) -> None:
    register = {
        **REGISTER,
        "capture": {"created": {"header": "Location"}, "word": {"header": "Location", "regex": "/(me)$"}},
    }
    steps = [
        register,
        {"name": "there", "url": "{{created}}", "status": 403},
        {"name": "w", "url": "/api/{{word}}", "status": 403},
    ]
    seen = await look(url=service.url, steps=steps)
    assert values(seen)["up"] == 1, seen.note


async def test_numbers_stay_numbers_in_json(look: Looker) -> None:
    bodies: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response({"id": 12, "ok": True})

    async with web_server({"POST /": take}) as url:
        steps = [
            {"name": "a", "url": f"{url}/", "method": "POST", "body_json": {}, "capture": {"id": "$.id", "ok": "$.ok"}},
            {
                "name": "b",
                "url": "/",
                "method": "POST",
                "body_json": {"id": "{{id}}", "t": ["n-{{id}}", "{{ok}}"], "x": "{{not a name}}"},
            },
        ]
        assert values(await look(steps=steps))["up"] == 1
    assert bodies[1] == {"id": 12, "t": ["n-12", True], "x": "{{not a name}}"}


# -- journeys that end early


async def test_the_first_failing_step_ends_it_and_cleaning_up_is_done_all_the_same(
    service: Service, look: Looker
) -> None:
    service.broken = True
    seen = await look(url=service.url, steps=[REGISTER, LOGIN, ME, LEAVE])
    measured = values(seen)
    assert (measured["up"], measured["steps_done"], measured["failed_step"]) == (0, 2, "login")
    assert "step_status{me}" not in measured
    assert "latency" not in measured
    assert seen.note.startswith("step login: status 401, expected 2xx")
    assert service.accounts == {}
    assert {e.title for e in seen.evidence} == {"login: response", "login: body"}
    assert "Test123!" not in repr(seen)


async def test_captured_values_are_shown_nowhere(service: Service, look: Looker) -> None:
    me = {**ME, "expect_json": {"$.echo": "= nothing"}}
    seen = await look(url=service.url, steps=[REGISTER, LOGIN, me])
    assert values(seen)["failed_step"] == "me"
    assert seen.note == 'step me: $.echo is "you sent <redacted>", expected = nothing'
    assert not any(token in repr(seen) for token in service.tokens)
    early = {**LOGIN, "expect_json": {"$.expires_in": 1}}
    seen = await look(url=service.url, steps=[REGISTER, early])
    assert seen.note == "step login: $.expires_in is 3600, expected = 1"
    assert not any(token in repr(seen) for token in service.tokens)


async def test_a_value_that_is_no_secret_may_be_shown(service: Service, look: Looker) -> None:
    register = {**REGISTER, "capture": {"where": {"header": "Location", "secret": False}}}
    seen = await look(url=service.url, steps=[register, {"name": "there", "url": "{{where}}"}])
    assert "<redacted>" not in seen.note
    assert seen.note == "step there: status 403, expected 2xx"


@pytest.mark.parametrize(
    ("capture", "note"),
    [
        ("$.nothing", "no $.nothing in the body, wanted as {{v}}"),
        ("$.data", "$.data is no single value, wanted as {{v}}"),
        ({"header": "X-None"}, "no X-None header, wanted as {{v}}"),
        ({"cookie": "none"}, "no cookie none, wanted as {{v}}"),
        ({"regex": "zzz"}, "the body does not match 'zzz', wanted as {{v}}"),
    ],
)
async def test_what_cannot_be_captured_fails_its_step(service: Service, look: Looker, capture: Any, note: str) -> None:
    seen = await look(url=service.url, steps=[REGISTER, {**LOGIN, "capture": {"v": capture}}])
    assert values(seen)["up"] == 0
    assert seen.note == f"step login: {note}"


@pytest.mark.probe_failure("http_journey")
async def test_no_answer_names_the_step(service: Service, look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    seen = await look(url=service.url, steps=[REGISTER, {"name": "slow", "url": "/hang"}])
    assert seen.note == "step slow: no answer within 1s (waiting for the response)"
    seen = await look(steps=[{"name": "first", "url": f"http://127.0.0.1:{free_port()}/"}])
    assert seen.note == "step first: connection refused"


async def test_a_captured_address_that_is_none(service: Service, look: Looker) -> None:
    async def odd(request: web.Request) -> web.Response:
        return web.json_response({"next": "ftp://user:pass@host/x"})

    async with web_server({"GET /": odd}) as url:
        steps = [{"name": "a", "url": f"{url}/", "capture": {"next": "$.next"}}, {"name": "b", "url": "{{next}}"}]
        seen = await look(steps=steps)
    assert seen.note == "step b: its URL, with what was captured, cannot be asked: ftp://host/x"


# -- what is refused before anything is asked


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"steps": [ME]}, "needs the journey's `url`"),
        ({"url": "http://h", "steps": [ME]}, "no earlier step captures {{token}}"),
        ({"url": "http://h", "steps": [REGISTER, REGISTER]}, "two steps are called 'register'"),
        ({"url": "http://h?x=1", "steps": [REGISTER]}, "common beginning"),
        ({"url": "http://h", "steps": []}, "at least 1"),
        ({"url": "http://h", "steps": [{**LOGIN, "capture": {"run_id": "$.x"}}]}, "given by healthd"),
        ({"url": "http://h", "steps": [{**LOGIN, "capture": {"a": {"json": "$.x", "cookie": "y"}}}]}, "give one of"),
        ({"url": "http://h", "steps": [{**LOGIN, "capture": {"a": {}}}]}, "says not where"),
        ({"url": "http://h", "steps": [{**LOGIN, "extract": {"step_latency": "$.x"}}]}, "is taken"),
        ({"url": "http://h", "steps": [{"name": "x", "url": "h/path"}]}, "not a URL this probe can ask"),
    ],
)
def test_mistakes_are_found_at_loading(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["http_journey"].Params(**params)
