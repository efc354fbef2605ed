"""The http_headers probe against a real server, over http and https; and its rules one by one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from multidict import CIMultiDict
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.security_headers.rules import WEIGHTS, Subject, grade, letter
from tests.component.looking import Looker, evidence, looking, values
from tests.servers.process import free_port
from tests.servers.web import web_server

HSTS, CSP, XFO = "Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options"
GOOD = [
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Set-Cookie", "session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"),
    ("Server", "nginx"),
]


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["http_headers"]) as looker:
        yield looker


class Site:
    """Answers with the headers it is told."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = list(GOOD)
        self.status = 200

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text="page", status=self.status, headers=CIMultiDict(self.headers))


@pytest.fixture
async def https(tmp_path: Path) -> AsyncIterator[tuple[Site, dict[str, Any]]]:
    """A site, and the parameters to ask it with."""
    ca, context, site = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Site()
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with web_server({"GET /": site.page}, context) as url:
        yield site, {"url": f"{url}/", "tls": {"ca_file": tmp_path / "ca.pem"}}


@pytest.mark.probe("http_headers")
async def test_a_site_that_does_all_it_should(https: tuple[Site, dict[str, Any]], look: Looker) -> None:
    seen = await look(**https[1])
    measured = values(seen)
    assert (seen.note, seen.evidence) == ("", ())
    assert (measured["score"], measured["grade"], measured["missing"]) == (1, "A", 0)
    assert measured["hsts_max_age"] == 31536000
    assert all(measured[f"header{{{name}}}"] == 1 for name in list(WEIGHTS)[:7])


async def test_a_site_that_says_nothing(https: tuple[Site, dict[str, Any]], look: Looker) -> None:
    https[0].headers = [("Server", "Apache/2.4.41 (Ubuntu)"), ("Set-Cookie", "id=s3cr3t-value; Path=/")]
    seen = await look(**https[1])
    measured = values(seen)
    assert (measured["grade"], measured["missing"], measured["score"]) == ("F", 7, 0)
    assert "cookies: id has no Secure, HttpOnly, SameSite" in evidence(seen, "headers")
    assert "banner: Server tells a version: Apache/2.4.41 (Ubuntu)" in evidence(seen, "headers")
    assert "s3cr3t-value" not in repr(seen)
    assert seen.note.startswith("strict-transport-security: missing; content-security-policy: missing")
    assert seen.note.endswith("and 3 more")


async def test_over_http_nothing_insists_on_tls(look: Looker) -> None:
    async with web_server({"GET /": Site().page}) as url:
        seen = await look(url=url)
    assert values(seen)["header{strict-transport-security}"] == 0
    assert seen.note == "strict-transport-security: the answer came over http, where browsers ignore it"


async def test_the_final_response_counts_and_an_error_is_named(look: Looker) -> None:
    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/"})

    site = Site()
    site.status = 404
    async with web_server({"GET /": site.page, "GET /old": moved}) as url:
        seen = await look(url=f"{url}/old", rules=["x-content-type-options"])
    assert values(seen)["score"] == 1
    assert values(seen)["status"] == 404
    assert seen.note == "these are the headers of an answer with status 404"


@pytest.mark.probe_failure("http_headers")
async def test_no_answer_is_down(look: Looker) -> None:
    seen = await look(url=f"http://127.0.0.1:{free_port()}")
    assert (values(seen), seen.note) == ({"up": 0}, "connection refused")


def problems(rule: str, *headers: tuple[str, str], https: bool = True) -> str:
    found = grade(Subject(CIMultiDict(headers), https, 180 * 86400.0), (rule,))
    return "; ".join(found[rule])


@pytest.mark.parametrize(
    ("rule", "headers", "words"),
    [
        ("strict-transport-security", [("strict-transport-security", 'max-age="15552000"')], ""),
        ("strict-transport-security", [(HSTS, "max-age=86400")], "max-age is 1 days, expected at least 180"),
        ("strict-transport-security", [(HSTS, "max-age=soon")], "has no max-age"),
        (
            "strict-transport-security",
            [(HSTS, "max-age=0"), (HSTS, "max-age=99999999")],
            "max-age is 0 days, expected at least 180",
        ),
        ("content-security-policy", [(CSP, "script-src 'self' 'unsafe-inline'")], "allows 'unsafe-inline' scripts"),
        ("content-security-policy", [(CSP, "script-src 'nonce-abc' 'unsafe-inline'")], ""),
        ("content-security-policy", [(CSP, "default-src 'self' 'unsafe-inline'; script-src 'self'")], ""),
        ("content-security-policy", [(CSP, "default-src *")], "allows scripts from *"),
        ("content-security-policy", [(CSP, "script-src 'self' 'unsafe-eval'")], "allows 'unsafe-eval'"),
        (
            "content-security-policy",
            [(CSP, "img-src 'self'")],
            "restricts no scripts: neither script-src nor default-src",
        ),
        ("content-security-policy", [(CSP, "default-src *"), (CSP, "script-src 'self'")], ""),
        (
            "content-security-policy",
            [("Content-Security-Policy-Report-Only", "default-src 'self'")],
            "only reports (Content-Security-Policy-Report-Only), and blocks nothing",
        ),
        ("x-content-type-options", [("X-Content-Type-Options", "NoSniff")], ""),
        ("x-content-type-options", [("X-Content-Type-Options", "sniff")], "is sniff, expected nosniff"),
        ("x-frame-options", [(XFO, "sameorigin")], ""),
        ("x-frame-options", [(XFO, "ALLOW-FROM https://x")], "is allow-from https://x, expected DENY or SAMEORIGIN"),
        ("x-frame-options", [(CSP, "frame-ancestors *"), (XFO, "DENY")], "frame-ancestors allows everyone"),
        ("x-frame-options", [], "missing, and the policy has no frame-ancestors"),
        ("referrer-policy", [("Referrer-Policy", "no-referrer, strict-origin")], ""),
        ("referrer-policy", [("Referrer-Policy", "unsafe-url")], "is unsafe-url: other sites see full addresses"),
        ("referrer-policy", [("Referrer-Policy", "never")], "is never, which means nothing"),
        ("cookies", [], ""),
        (
            "cookies",
            [("Set-Cookie", "a=1; secure; httponly; samesite=STRICT"), ("Set-Cookie", "b=2; Secure; SameSite=odd")],
            "b has no HttpOnly, SameSite",
        ),
        (
            "cookies",
            [("Set-Cookie", "a=1; Secure; HttpOnly; SameSite=None")],
            "a is sent along from other sites: SameSite=None",
        ),
        ("banner", [("Server", "cloudflare"), ("Via", "1.1 varnish, HTTP/1.1 proxy")], ""),
        ("banner", [("Via", "1.1 vegur (Squid/5.7)")], "Via tells a version: 1.1 vegur (Squid/5.7)"),
        ("banner", [("X-Powered-By", "Express")], "X-Powered-By tells what it runs on: Express"),
        ("banner", [("X-AspNet-Version", "4.0.30319")], "X-AspNet-Version tells a version: 4.0.30319"),
        ("permissions-policy", [], "missing"),
        ("cross-origin-opener-policy", [("Cross-Origin-Opener-Policy", "unsafe-none")], "is unsafe-none"),
        ("cross-origin-opener-policy", [("Cross-Origin-Opener-Policy", 'same-origin; report-to="x"')], ""),
    ],
)
def test_rules(rule: str, headers: list[tuple[str, str]], words: str) -> None:
    assert problems(rule, *headers) == words


def test_letters() -> None:
    assert [letter(ratio) for ratio in (1, 0.95, 0.94, 0.65, 0.5, 0.3, 0.29, 0)] == list("AABCDEFF")


@pytest.mark.parametrize("params", [{"rules": ["x-xss-protection"]}, {"rules": []}, {"hsts_min_age": "soon"}])
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["http_headers"].Params(url="http://h", **params)
