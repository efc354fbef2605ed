"""The probe redis: is the server there, and if not, whose fault is it?"""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.component.redis.watching import down
from tests.servers import odd
from tests.servers.process import free_port
from tests.servers.redis import RedisServer


@pytest.mark.probe("redis")
async def test_a_running_server(redis_server: RedisServer, ping: Looker) -> None:
    seen = await ping(url=redis_server.url)
    measured = values(seen)
    assert (measured["up"], measured["role"], seen.note) == (1, "master", "")
    assert 0 < float(measured["latency"]) < float(measured["connect_time"]) < 5
    assert str(measured["version"]).count(".") == 2
    assert measured["major_version"] == int(str(measured["version"]).split(".")[0])
    assert float(measured["uptime"]) >= 0


async def test_refused(ping: Looker) -> None:
    port = free_port()
    seen = await ping(url=f"redis://app:s3cret@127.0.0.1:{port}/0")
    assert values(seen) == {"up": 0}
    assert seen.note == f"connection refused (app@127.0.0.1:{port})"


async def test_unknown_host(ping: Looker) -> None:
    seen = await ping(url="redis://:s3cret@cache.invalid:6379/0")
    assert values(seen) == {"up": 0}
    assert "cache.invalid" in seen.note
    assert "s3cret" not in seen.note


@pytest.mark.parametrize(
    ("login", "says"),
    [(":wrong-one@", "invalid username-password"), ("bob:wrong-one@", "invalid"), ("", "Authentication required")],
)
async def test_a_wrong_password(own: RedisServer, ping: Looker, length: Looker, login: str, says: str) -> None:
    url = own.url.replace(":open-sesame@", login)
    for look in (lambda: ping(url=url), lambda: length(url=url, key="queue")):
        with pytest.raises(ProbeError, match=says) as caught:
            await look()
        assert caught.value.kind == "auth"
        assert str(own.port) in caught.value.reason
        assert "wrong-one" not in caught.value.reason


@pytest.mark.probe_failure("redis")
async def test_a_password_for_a_server_without(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path) as server, pytest.raises(ProbeError, match="without any password") as caught:
        await ping(url=server.url.replace("redis://", "redis://:unneeded@"))
    assert caught.value.kind == "auth"


async def test_a_user_who_may_do_little(own: RedisServer, ping: Looker, length: Looker) -> None:
    with own.client() as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "on", ">word", "~*", "+ping", "+type", "+llen")
        admin.rpush("queue", "a")
    url = own.url.replace(":open-sesame@", "watcher:word@")
    seen = await ping(url=url)
    assert values(seen)["up"] == 1
    assert "no INFO: forbidden: needs +info" in seen.note
    assert values(await length(url=url, key="queue"))["length"] == 1
    with own.client() as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "-llen")
    with pytest.raises(ProbeError, match="llen") as caught:
        await length(url=url, key="queue")
    assert caught.value.kind == "forbidden"


async def test_all_clients_are_taken(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path, args=("--maxclients", "3")) as server:
        taken = [server.client() for _ in range(3)]
        for client in taken:
            client.ping()
        await down(ping, server.url, "maximum number of clients")
        for client in taken:
            client.close()
        for _ in range(300):
            if values(await ping(url=server.url))["up"] == 1:
                return
        raise AssertionError("not seen up again")


async def shouts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("handler", "says"), [(shouts, "not Redis"), (odd.closes, "closed the connection"), (odd.resets, "connection")]
)
async def test_something_else_answers(handler: odd.Handler, says: str, ping: Looker) -> None:
    async with odd.serving(handler) as server:
        seen = await ping(url=f"redis://:s3cret@127.0.0.1:{server.port}/0")
    assert values(seen) == {"up": 0}
    assert says in seen.note
    assert "s3cret" not in seen.note


async def test_a_listener_that_never_answers(ping: Looker) -> None:
    ping.timeout = timedelta(seconds=1)
    async with odd.serving(odd.silent) as server:
        started = time.monotonic()
        seen = await ping(url=f"redis://127.0.0.1:{server.port}/0")
        assert time.monotonic() - started < 10
    assert values(seen) == {"up": 0}
    assert "no answer within 1s" in seen.note


async def test_tls(redis_server: RedisServer, ping: Looker, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        try:
            await asyncio.gather(_pass(reader, there_writer), _pass(there_reader, writer))
        finally:
            there_writer.close()

    async with odd.serving(relay, context) as server:
        url = f"rediss://:{redis_server.password}@127.0.0.1:{server.port}/0"
        for _ in range(2):
            assert values(await ping(url=f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}"))["up"] == 1
        seen = await ping(url=url)
        assert values(seen) == {"up": 0}
        assert "TLS: certificate is not from a trusted issuer" in seen.note
    ping.timeout = timedelta(seconds=1)  # a server without TLS waits for the end of the greeting
    assert values(await ping(url=redis_server.url.replace("redis://", "rediss://"))) == {"up": 0}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("http://:secretword@cache:6379", "not a Redis URL"),
        ("redis://:secretword@cache:port/0", "not a Redis URL"),
        ("redis://:secret/word@cache:6379/0", "not a Redis URL"),
        ("redis://:secretword@cache:6379/zero", "is a number"),
        ("redis://:secretword@cache:6379/0?ssl_ca_cert=x", "unknown option 'ssl_ca_cert'"),
    ],
)
async def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str, ping: Looker) -> None:
    with pytest.raises(ValidationError) as caught:
        await ping(url=url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_url_shared_with_other_clients(redis_server: RedisServer, ping: Looker) -> None:
    assert values(await ping(url=f"{redis_server.url}?family=4&protocol=3&max_connections=50"))["up"] == 1
