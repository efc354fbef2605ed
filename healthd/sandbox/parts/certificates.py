"""Certificates of an emulated production: an authority of its own, what it issues, and listeners that show it."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from healthd.sandbox.child import free_port

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName, KeyUsage, Name

_FEW_MINUTES = timedelta(minutes=5)  # clocks need not agree
_VALID_DAYS = 90.0


class Authority:
    """A certificate authority. `file` is its own certificate, what clients are to trust (PEM)."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Sandbox authority")
        self.file.write_bytes(_pem(self._sign(self._name, self._key, timedelta(days=3650), authority=True)))

    def issue(self, name: str, hosts: tuple[str, ...] = ("localhost", "127.0.0.1")) -> IssuedCertificate:
        """A certificate for these hosts and addresses, valid for 90 days, in files called after `name`."""
        return IssuedCertificate(self, name, hosts)

    def bundle(self) -> Path:
        """A file (PEM) with this authority and all that the system trusts, for SSL_CERT_FILE."""
        system = ssl.get_default_verify_paths().cafile
        file = self.folder / "trusted.pem"
        file.write_bytes(self.file.read_bytes() + (Path(system).read_bytes() if system else b""))
        return file

    def sign(
        self, key: EllipticCurvePrivateKey, hosts: tuple[str, ...], days: float, *, by_itself: bool
    ) -> Certificate:
        """A certificate for a key: valid for so many days from now, or over since then when they are negative."""
        return self._sign(
            _name(hosts[0]), key, timedelta(days=days), hosts=hosts, issuer=key if by_itself else self._key
        )

    def _sign(
        self,
        subject: Name,
        key: EllipticCurvePrivateKey,
        valid: timedelta,
        *,
        hosts: tuple[str, ...] = (),
        authority: bool = False,
        issuer: EllipticCurvePrivateKey | None = None,
    ) -> Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        signer = issuer or self._key
        now, identifier = datetime.now(UTC), x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder: CertificateBuilder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name if signer is self._key else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + valid) - timedelta(days=1) - _FEW_MINUTES)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if authority:
            builder = builder.add_extension(_may_sign(), critical=True)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(list(map(_general_name, hosts))), critical=False
            )
        return builder.sign(signer, hashes.SHA256())


class IssuedCertificate:
    """One certificate with its key. `file` holds the chain, `key_file` the key (PEM); `context` serves them."""

    def __init__(self, authority: Authority, name: str, hosts: tuple[str, ...]) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._authority, self._hosts = authority, hosts
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = authority.folder / f"{name}.pem"
        self.key_file = authority.folder / f"{name}.key"
        self._write_key()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.renew()

    def renew(self, days: float = _VALID_DAYS, *, by_itself: bool = False) -> None:
        """Make it anew, valid for so many days (negative: expired); `by_itself`: signed by no authority.

        Connections made from now on show it.
        """
        leaf = self._authority.sign(self._key, self._hosts, days, by_itself=by_itself)
        chain = _pem(leaf) + (b"" if by_itself else self._authority.file.read_bytes())
        fresh = self.file.with_suffix(".new")  # readers find the old or the new one, never half of one
        fresh.write_bytes(chain)
        fresh.replace(self.file)
        self.context.load_cert_chain(self.file, self.key_file)

    def _write_key(self) -> None:
        from cryptography.hazmat.primitives import serialization

        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


class TlsListener:
    """A port that shows a certificate and then hangs up, for what speaks TLS and is not emulated further."""

    def __init__(self, certificate: IssuedCertificate) -> None:
        self.certificate = certificate
        self.port = free_port()
        self._server: asyncio.Server | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._hang_up, "127.0.0.1", self.port, ssl=self.certificate.context
            )

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()

    @staticmethod
    async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()


def _name(text: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _may_sign() -> KeyUsage:
    from cryptography import x509

    rights = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return x509.KeyUsage(**rights, key_cert_sign=True, crl_sign=True)


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
