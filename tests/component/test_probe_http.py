"""The http probe against a real nginx, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from healthd.probes.http import HttpProbe
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["http"]) as looker:
        yield looker


# -- an answer as expected


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


# -- redirects


async def test_redirects_are_followed_and_counted(nginx: NginxServer, look: Looker) -> None:
    measured = values(await look(url=f"{nginx.url}/moved-twice", expect_json={"$.status": "= ok"}))
    assert (measured["up"], measured["redirects"], measured["status"]) == (1, 2, 200)


async def test_redirects_can_be_looked_at_themselves(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/moved", follow_redirects=False, status=301, expect_headers={"Location": "/health$"}
    )
    assert (values(seen)["up"], values(seen)["status"]) == (1, 301)


async def test_redirect_loop(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/loop", max_redirects=3)
    assert (values(seen), seen.note) == ({"up": 0}, "more than 3 redirects")
    assert evidence(seen, "redirects").count("302 from") == 4


async def test_see_other_becomes_get(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/see-other", method="POST", body="x", body_pattern="method=GET")
    assert values(seen)["up"] == 1


async def test_another_origin_is_not_given_credentials(nginx: NginxServer, look: Looker) -> None:
    ask = {"headers": {"X-Key": "k-1234"}, "auth": {"bearer": "bearer-secret"}}
    same = await look(url=f"{nginx.url}/see-other", body_pattern="key=k-1234 auth=Bearer bearer-secret", **ask)
    other = await look(url=f"{nginx.url}/see-other-port", body_pattern="key= auth=$", **ask)
    assert (values(same)["up"], values(other)["up"]) == (1, 1)


async def test_failure_behind_a_redirect_names_it(look: Looker) -> None:
    port = free_port()
    head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/next?token=abcdefgh\r\n\r\n".encode()
    async with odd.serving(odd.says(head)) as server:
        seen = await look(url=server.url)
    assert seen.note == f"connection refused (after a redirect to http://127.0.0.1:{port}/next?...)"


@pytest.mark.parametrize(
    ("location", "note"),
    [("ftp://files.example/x", "which is not HTTP"), ("http://[bad", "not a URL")],
)
async def test_redirect_to_nowhere(look: Looker, location: str, note: str) -> None:
    async with odd.serving(odd.says(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert note in seen.note


# -- an answer that is not as expected


async def test_wrong_status_shows_the_answer_without_its_secrets(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/broken")
    assert (values(seen)["up"], values(seen)["status"]) == (0, 503)
    assert seen.note == "status 503, expected 2xx"
    assert evidence(seen, "response").startswith("503")
    assert '"status":"failing"' in evidence(seen, "body")
    assert "hunter2" not in evidence(seen, "body")


async def test_several_disappointments_are_all_named(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/health",
        status=[201, "300-399"],
        expect_headers={"X-Version": "1"},
        expect_json={"$.checks.database": "!= connected", "$.missing": "= 1"},
    )
    assert seen.note == (
        "status 200, expected 201 or 3xx; no X-Version header;"
        ' $.checks.database is "connected", expected != connected; no $.missing in the body'
    )


async def test_body_patterns(nginx: NginxServer, look: Looker) -> None:
    good = await look(url=nginx.url, body_pattern="hel+o", body_not_pattern="error")
    bad = await look(url=nginx.url, body_not_pattern="hel+o")
    assert (values(good)["body_match"], values(good)["up"]) == (1, 1)
    assert (values(bad)["body_match"], values(bad)["up"]) == (0, 0)
    assert bad.note == "the body holds \"hello\", which 'hel+o' forbids"


async def test_missing_values_are_absent_never_zero(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/health", extract={"lag": "$.replication.lag", "checks": "$.checks"})
    assert values(seen)["up"] == 1
    assert not {"lag", "checks"} & values(seen).keys()
    assert seen.note == "no $.replication.lag in the body; $.checks is an object"


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"<html>", "the body is not JSON"),
        (b"", "the body is empty, expected JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
    ],
)
async def test_body_that_is_not_json(look: Looker, body: bytes, note: str) -> None:
    async with odd.serving(odd.answers(body)) as server:
        seen = await look(url=server.url, extract={"a": "$.a"})
    assert (values(seen)["up"], seen.note) == (0, note)


@pytest.mark.parametrize("number", [b"1e999", b"NaN", b"1" + b"0" * 400, b"null"])
async def test_numbers_that_are_none(look: Looker, number: bytes) -> None:
    async with odd.serving(odd.answers(b'{"a":' + number + b"}")) as server:
        seen = await look(url=server.url, extract={"a": "$.a"})
    assert "a" not in values(seen)
    assert seen.note.startswith("$.a is n")


# -- no answer


async def test_refused(look: Looker) -> None:
    seen = await look(url=f"http://127.0.0.1:{free_port()}/")
    assert (values(seen), seen.note) == ({"up": 0}, "connection refused")


async def test_no_such_host(look: Looker) -> None:
    seen = await look(url="http://no-such-host.invalid/")
    assert values(seen) == {"up": 0}
    assert "no-such-host.invalid" in seen.note


async def test_silence_is_named_with_the_phase(look: Looker) -> None:
    look.timeout = timedelta(seconds=0.3)
    async with odd.serving(odd.silent) as server:
        seen = await look(url=server.url)
        tls = await look(url=server.url.replace("http", "https"))
    assert (values(seen), seen.note) == ({"up": 0}, "no answer within 300ms (waiting for the response)")
    assert tls.note == "no answer within 300ms (TLS handshake)"


async def test_a_drip_is_bounded_by_the_timeout(look: Looker) -> None:
    look.timeout = timedelta(seconds=0.5)
    drip = odd.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000, pause=0.02)
    async with odd.serving(drip) as server:
        seen = await look(url=server.url)
    assert seen.note == "no answer within 500ms (reading the body)"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", 'not HTTP: bad status line "SSH-2.0-OpenSSH_9.2"'),
        (b"\x00\x01\x02\x03" * 50, "not HTTP: bad status line"),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", 'not HTTP: invalid header token "broken header"'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", "not HTTP: a header line is longer than 65536"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "connection closed by the server in the middle of"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "the body cannot be"),
        (b"", "connection closed by the server before any answer"),
    ],
    ids=["ssh", "binary", "header", "long header", "short body", "chunks", "gzip", "nothing"],
)
async def test_garbage(look: Looker, data: bytes, note: str) -> None:
    async with odd.serving(odd.says(data)) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert seen.note.startswith(note)


async def test_reset(look: Looker) -> None:
    async with odd.serving(odd.resets) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert seen.note.startswith("connection ")


async def test_cancelling_leaves_nothing_behind(look: Looker) -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()

    async with odd.serving(handler) as server:
        run = asyncio.create_task(look(url=server.url))
        await asked.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await asyncio.wait_for(gone.wait(), 5)


async def test_running_out_of_files_says_nothing_about_the_server(nginx: NginxServer, look: Looker) -> None:
    await look(url=nginx.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(ProbeError, match="too many open files") as failure:
            await look(url=nginx.url)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failure.value.kind == "limit"


# -- bodies without measure


async def test_a_big_body_is_read_to_the_limit(nginx: NginxServer, look: Looker) -> None:
    look.limits = replace(ProbeLimits(), max_body_bytes=100_000)
    seen = await look(url=f"{nginx.url}/big")
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 100_000)
    cut = await look(url=f"{nginx.url}/big", extract={"a": "$.a"})
    assert (values(cut)["up"], cut.note) == (0, "the body is longer than 100kB: its JSON was cut and cannot be read")
    unmatched = await look(url=f"{nginx.url}/big", body_pattern="x")
    assert unmatched.note == "the body does not match 'x' within its first 100kB"


async def test_an_endless_body_ends(look: Looker) -> None:
    async with odd.serving(odd.endless) as server:
        seen = await look(url=server.url)
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 1_000_000)


async def test_compressed_bodies_are_measured_uncompressed(nginx: NginxServer, look: Looker) -> None:
    look.limits = replace(ProbeLimits(), max_body_bytes=5_000_000)
    assert values(await look(url=f"{nginx.url}/gzip"))["body_size"] == 3_000_000


async def test_a_bomb_stops_at_the_limit(look: Looker) -> None:
    async with odd.serving(odd.answers(odd.bomb(100), "Content-Encoding: gzip")) as server:
        seen = await look(url=server.url)
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 1_000_000)


# -- TLS


def served(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


async def test_expired_certificate(look: Looker, authority: trustme.CA, tmp_path: Path) -> None:
    expired = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=3, minutes=1))
    async with odd.serving(odd.answers(b"ok"), served(expired)) as server:
        ask = {"url": f"https://127.0.0.1:{server.port}/"}
        seen = await look(**ask, tls={"ca_file": tmp_path / "ca.pem"})
        insecure = await look(**ask, tls={"insecure": True})
    assert seen.note == "TLS: certificate expired (expired 3d ago)"
    assert values(seen)["up"] == 0
    assert float(values(seen)["tls_days_left"]) == pytest.approx(-3, abs=0.01)
    assert "subject:" in evidence(seen, "certificate")
    assert values(insecure)["up"] == 1
    assert float(values(insecure)["tls_days_left"]) == pytest.approx(-3, abs=0.01)


async def test_certificate_for_another_name(look: Looker, authority: trustme.CA, tmp_path: Path) -> None:
    async with odd.serving(odd.answers(b"ok"), served(authority.issue_cert("other.example"))) as server:
        ask = {"url": f"https://127.0.0.1:{server.port}/"}
        wrong = await look(**ask, tls={"ca_file": tmp_path / "ca.pem"})
        named = await look(**ask, tls={"ca_file": tmp_path / "ca.pem", "server_name": "other.example"})
    assert wrong.note.startswith("TLS: certificate is not for 127.0.0.1")
    assert values(named)["up"] == 1


async def test_untrusted_certificate(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=nginx.tls_url)
    assert seen.note.startswith("TLS: certificate is not from a trusted issuer")
    assert float(values(seen)["tls_days_left"]) > 300


async def test_plain_http_on_a_tls_port_and_the_reverse(nginx: NginxServer, look: Looker) -> None:
    wrong = await look(url=nginx.url.replace("http:", "https:"))
    assert wrong.note == "TLS: the server does not speak TLS on this port"
    plain = await look(url=f"http://127.0.0.1:{nginx.tls_port}/")
    assert plain.note == "status 400, expected 2xx"


async def test_client_certificate(look: Looker, authority: trustme.CA, tmp_path: Path) -> None:
    context = served(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    async with odd.serving(odd.answers(b"ok"), context) as server:
        ask = {"url": f"https://127.0.0.1:{server.port}/"}
        without = await look(**ask, tls={"ca_file": tmp_path / "ca.pem"})
        given = await look(**ask, tls={"ca_file": tmp_path / "ca.pem", "cert_file": tmp_path / "client.pem"})
    assert (values(without)["up"], values(given)["up"]) == (0, 1)


async def test_unusable_files_are_the_checks_own_mistake(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"ca_file .*none.pem: No such file") as missing:
        await look(url="https://127.0.0.1/", tls={"ca_file": tmp_path / "none.pem"})
    (tmp_path / "bad.pem").write_text("not a certificate")
    with pytest.raises(ProbeError, match="client certificate"):
        await look(url="https://127.0.0.1/", tls={"cert_file": tmp_path / "bad.pem"})
    assert missing.value.kind == "config"


# -- secrets and parameters


async def test_secrets_are_shown_nowhere(look: Looker) -> None:
    secrets = ["s3cret-password", "s3cret-header", "s3cret-query", "s3cret-body"]
    echo = " ".join(secrets).encode()
    async with odd.serving(odd.answers(echo, status="500 Oops")) as server:
        ask = {
            "url": f"http://user:s3cret-password@127.0.0.1:{server.port}/?q=s3cret-query",
            "headers": {"X-Key": "s3cret-header"},
            "method": "POST",
            "body": "s3cret-body",
            "expect_headers": {"X": "y"},
        }
        seen = await look(**ask)
    shown = repr(seen) + repr(HttpProbe.Params(**ask)) + str(HttpProbe.Params(**ask))
    assert values(seen)["up"] == 0
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": "ftp://x/"}, "expected http://host/path"),
        ({"url": "http://"}, "expected http://host/path"),
        ({"url": "http://x:99999/"}, "Port out of range"),
        ({"url": "http://x/a b"}, "no spaces"),
        ({"status": "2x"}, "is not a status: expected 200, 2xx"),
        ({"status": []}, "no status is expected"),
        ({"status": "399-200"}, "is not a status"),
        ({"body_pattern": "("}, "is not a regular expression"),
        ({"extract": {"status": "$.status"}}, "choose another name, such as app_status"),
        ({"extract": {"a": "$.a["}}, r"cannot read '\['"),
        ({"extract": {"a": {"path": "$.a", "unit": "parsec"}}}, "unknown unit 'parsec'"),
        ({"expect_json": {"$.a": "< many"}}, "not a quantity"),
        ({"headers": {"X-Key": "a\r\nEvil: 1"}}, "line break"),
        ({"headers": {"X Key": "a"}}, "is not a header name"),
        ({"body": "a", "body_json": {}}, "one of body and body_json"),
        ({"auth": {}}, "give one of basic"),
        ({"methud": "GET"}, "Extra inputs are not permitted"),
        ({"tls": {"key_file": "k"}}, "key_file needs cert_file"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HttpProbe.Params(**{"url": "http://127.0.0.1/", **params})


def test_editors_get_a_schema() -> None:
    schema = HttpProbe.Params.model_json_schema()
    assert schema["properties"]["status"]["type"] == ["integer", "string", "array"]
    assert schema["required"] == ["url"]


def test_measures_are_known_before_the_run() -> None:
    params = HttpProbe.Params(url="http://x/", extract={"lag": {"path": "$.lag", "unit": "ms"}})
    measures = HttpProbe().measures_for(params)  # type: ignore[arg-type]
    assert measures["lag"].unit == "seconds"
    assert "latency" in measures
