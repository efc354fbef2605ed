"""The probe http: answers as expected, from a real nginx."""

from __future__ import annotations

import socket

import pytest

from tests.component.looking import Looker, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port


async def test_plain_answer(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/")
    measured = values(seen)
    assert (measured["up"], measured["status"], measured["redirects"]) == (1, 200, 0)
    assert measured["body_size"] == len("<html><body>hello</body></html>\n")
    phases = sum(float(measured[n]) for n in ("dns_time", "connect_time", "first_byte_time", "transfer_time"))
    assert 0 < phases <= float(measured["latency"]) < 5
    assert float(measured["connect_time"]) > 0
    assert (seen.note, seen.evidence) == ("", ())


async def test_tls_answer_measures_handshake_and_certificate(nginx: NginxServer, look: Looker) -> None:
    measured = values(await look(url=nginx.tls_url, tls={"ca_file": nginx.ca_file}))
    assert measured["up"] == 1
    assert float(measured["tls_time"]) > 0
    assert float(measured["tls_days_left"]) > 300
    assert float(measured["connect_time"]) < float(measured["latency"])


async def test_a_kept_connection_is_not_opened_again_and_keeps_its_certificate(
    nginx: NginxServer, look: Looker
) -> None:
    ask = {"url": nginx.tls_url, "tls": {"ca_file": nginx.ca_file}, "keepalive": True}
    first, second = values(await look(**ask)), values(await look(**ask))
    assert float(first["connect_time"]) > 0
    assert (second["connect_time"], second["tls_time"]) == (0, 0)
    assert second["tls_days_left"] == pytest.approx(float(first["tls_days_left"]), abs=0.01)


async def test_each_run_opens_a_new_connection(nginx: NginxServer, look: Looker) -> None:
    times = [float(values(await look(url=nginx.url))["connect_time"]) for _ in range(3)]
    assert all(t > 0 for t in times)


async def test_json_becomes_measures(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/health",
        extract={
            "database": "$.checks.database",
            "ready": "$.ready",
            "uptime": {"path": "$.uptime_ms", "unit": "ms"},
            "depth": {"path": "$.queues[*].depth", "series": "name"},
            "queues": "$.queues.length()",
        },
        expect_json={"$.status": "ok", "$.queues[*].depth": "< 200", "$.ready": True},
    )
    measured = values(seen)
    assert measured["up"] == 1
    assert measured["database"] == "connected"
    assert measured["ready"] == 1
    assert measured["uptime"] == pytest.approx(1.5)
    assert (measured["depth{mail}"], measured["depth{video}"], measured["queues"]) == (3, 120, 2)


async def test_headers_become_measures(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/headers",
        status=204,
        expect_headers={"x-build": r"^v1\."},
        extract_headers={"depth": "X-Queue-Depth", "build": "X-Build"},
    )
    assert (values(seen)["up"], values(seen)["depth"], values(seen)["build"]) == (1, 42, "v1.2.3")


@pytest.mark.parametrize("auth", [{"auth": {"basic": {"username": "alice", "password": "open-sesame"}}}, {}])
async def test_basic_authentication(nginx: NginxServer, look: Looker, auth: dict[str, object]) -> None:
    seen = await look(url=f"{nginx.url}/secure", **auth)
    assert values(seen)["up"] == (1 if auth else 0)
    assert auth or seen.note == "status 401, expected 2xx"


async def test_user_in_the_url(nginx: NginxServer, look: Looker) -> None:
    url = nginx.url.replace("//", "//alice:open-sesame@")
    assert values(await look(url=f"{url}/secure"))["up"] == 1


async def test_cookies_are_not_kept(nginx: NginxServer, look: Looker) -> None:
    for _ in range(2):
        assert values(await look(url=f"{nginx.url}/cookie", body_pattern=r"^cookie:$", keepalive=True))["up"] == 1


async def test_cookies_of_a_redirect_are_kept_within_the_look(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/login", body_pattern="^cookie:session=abc$")
    assert (values(seen)["up"], values(seen)["redirects"]) == (1, 1)


async def test_request_body_and_headers_are_sent(look: Looker) -> None:
    record: list[bytes] = []
    async with odd.serving(odd.answers(b"{}", record=record)) as server:
        await look(url=server.url, method="post", body_json={"ask": 1}, headers={"X-Key": "k-1234"})
    assert record[0].startswith(b"POST / HTTP/1.1")
    assert b"Content-Type: application/json" in record[0]
    assert b"X-Key: k-1234" in record[0]


async def test_ipv6_literal(nginx: NginxServer, look: Looker) -> None:
    with socket.socket(socket.AF_INET6) as sock:
        if sock.connect_ex(("::1", nginx.port)):
            assert values(await look(url=f"http://[::1]:{nginx.port}/"))["up"] == 0
            return
    assert values(await look(url=f"http://[::1]:{nginx.port}/"))["up"] == 1


async def test_through_a_proxy(look: Looker) -> None:
    record: list[bytes] = []
    async with odd.serving(odd.answers(b"ok", record=record)) as proxy:
        address = f"http://user:proxy-pass@127.0.0.1:{proxy.port}"
        seen = await look(url="http://behind.invalid/x", proxy=address)
    assert values(seen)["up"] == 1
    assert record[0].startswith(b"GET http://behind.invalid/x HTTP/1.1")
    assert b"Proxy-Authorization: Basic " in record[0]
    away = await look(url="http://behind.invalid/", proxy=f"http://127.0.0.1:{free_port()}")
    assert away.note == "the proxy does not answer: connection refused"


async def test_a_plain_word_is_expected_as_it_is(look: Looker) -> None:
    async with odd.serving(odd.answers(b'{"state":"in progress","version":"1.2.3"}')) as server:
        seen = await look(url=server.url, expect_json={"state": "in progress", "version": "1.2.3"})
    assert seen.note == ""
