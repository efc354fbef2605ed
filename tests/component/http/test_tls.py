"""The probe http: certificates of servers and clients."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, evidence, values
from tests.servers import odd
from tests.servers.nginx import NginxServer


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
