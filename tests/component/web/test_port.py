"""The port itself: certificates that are renewed, clients that dawdle, come in crowds, or send too much."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme

from healthd.web.tls import Certificate
from tests.e2e.daemon import TOKEN, Daemon

CATALOGUE = """\
system: {name: shop, title: Shop}
checks:
  - {name: load, every: 1s, probe: {type: load}, thresholds: {measure: load1, warning: "> 10000"}}
"""
BEGINNINGS = [
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nnext",
]


def write(folder: Path, authority: trustme.CA, *names: str) -> None:
    """A certificate and its key, one after the other, as nobody should write them."""
    made = authority.issue_cert(*names)
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def daemon(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("port")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    write(folder, authority, "127.0.0.1")
    made = Daemon(
        folder, CATALOGUE, reload_watch="false", tls_cert=str(folder / "cert.pem"), tls_key=str(folder / "key.pem")
    )
    made.url = made.url.replace("http:", "https:")
    made.http = httpx.Client(
        base_url=made.url, timeout=10, headers={"Authorization": f"Bearer {TOKEN}"}, verify=trusting(made)
    )
    try:
        yield made.start()
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Without TLS."""
    made = Daemon(tmp_path_factory.mktemp("plain"), CATALOGUE, reload_watch="false")
    try:
        yield made.start()
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()


@pytest.fixture(scope="module")
def dawdlers(plain: Daemon) -> Iterator[list[socket.socket]]:
    """They began to ask something, and do not go on: there while the other tests run."""
    with ExitStack() as stack:
        made = [stack.enter_context(connect(plain, "127.0.0.8")) for _ in BEGINNINGS]
        for client, beginning in zip(made, BEGINNINGS, strict=True):
            client.sendall(beginning)
        yield made


def trusting(daemon: Daemon) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(daemon.folder / "ca.pem"))


def names(daemon: Daemon) -> set[str]:
    """Of the certificate that a new connection is shown."""
    context = trusting(daemon)
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", daemon.port)) as raw, context.wrap_socket(raw) as tls:
        shown = tls.getpeercert()
        assert shown is not None
        return {str(name[1]) for name in shown["subjectAltName"]}


def connect(daemon: Daemon, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=60, source_address=(address, 0))


@pytest.mark.usefixtures("dawdlers")
def test_a_renewed_certificate_is_taken_without_a_restart(daemon: Daemon, authority: trustme.CA) -> None:
    assert names(daemon) == {"127.0.0.1"}
    daemon.http.get("/healthz").raise_for_status()  # this connection lives on
    (daemon.folder / "key.pem").write_text("half of a renewal")
    daemon.until(lambda: daemon.events("certificate_not_renewed"), what="said that it cannot be used")
    assert names(daemon) == {"127.0.0.1"}
    write(daemon.folder, authority, "127.0.0.1", "healthd.example")
    daemon.until(lambda: "healthd.example" in names(daemon), what="renewed")
    assert daemon.http.get("/healthz").status_code == 200
    assert daemon.events("certificate_renewed")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_old_versions_of_tls_are_not_spoken(daemon: Daemon) -> None:
    context = trusting(daemon)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with connect(daemon) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(daemon)
        context.minimum_version = context.maximum_version = version
        with connect(daemon) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            assert tls.version() == version.name.replace("_", ".")


def test_commands_know_their_own_daemon_over_tls(daemon: Daemon) -> None:
    code, said = daemon.command("incidents")
    assert (code, said) == (0, "no open incidents\n")


@pytest.mark.parametrize(("cert", "key"), [("cert.pem", None), ("missing.pem", None), ("cert.pem", "missing.pem")])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, cert: str, key: str | None) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    with pytest.raises(OSError, match=f"^HEALTHD_TLS_CERT: cannot use .*/{key or cert}: "):
        Certificate(tmp_path / cert, tmp_path / key if key else None)


def test_why_a_certificate_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    first, second = (trustme.CA().issue_cert("healthd.example") for _ in range(2))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first.cert_chain_pems[0].write_to_path(cert)
    second.private_key_pem.write_to_path(key)
    for of_its_own, said in ((key, "the key is not the certificate's"), (None, "HEALTHD_TLS_KEY names it")):
        with pytest.raises(OSError, match=said):
            Certificate(cert, of_its_own)


def test_a_crowd_from_one_address_leaves_room_for_others(plain: Daemon) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(connect(plain, "127.0.0.9")) for _ in range(150)]
        refused = crowd[-1].recv(1000)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in refused
        assert httpx.get(f"{plain.url}/healthz", timeout=10).status_code == 200
    plain.until(lambda: httpx.get(f"{plain.url}/", timeout=10).status_code == 200, what="answered")


@pytest.mark.parametrize(
    "head",
    [b"X-Long: " + b"a" * 20_000, b"\r\n".join(b"X-%d: %d" % (n, n) for n in range(4_000))],
)  # fmt: skip
def test_headers_are_bounded(plain: Daemon, head: bytes) -> None:
    with connect(plain) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n")
        assert client.recv(1000).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/checks/shop/load/run", "/-/reload", "/hooks/slack"])
def test_bodies_are_bounded_however_they_come(plain: Daemon, path: str) -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 32_768

    answer = plain.http.post(path, content=drops(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (400, 404, 413)


def test_who_dawdles_is_hung_up_on(plain: Daemon, dawdlers: list[socket.socket]) -> None:
    for client in dawdlers:
        assert client.recv(1000).startswith(b"HTTP/1.1 408")
        assert client.recv(1000) == b""
    assert not plain.events("request_failed")
