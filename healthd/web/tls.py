"""The port's certificate, renewed in place when its files change; and how replicas know each other's."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import structlog

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all fine
END = "-----END CERTIFICATE-----"
NO_PASSPHRASE = ""  # OpenSSL would ask on the terminal
Stamp = tuple[tuple[int, int, int], ...]

log = structlog.get_logger("healthd.web")


class Certificate:
    """Of the port, from PEM files. Connections that begin after a renewal get the new one; others go on."""

    def __init__(self, cert: Path, key: Path | None) -> None:
        """Raises OSError naming the file that cannot be used."""
        self._cert, self._key = cert, key
        self._refused: Stamp = ()
        self.context = _server_context()
        self._load(self.context)
        self._stamp = self._stamps()

    def renew(self) -> None:
        """Take what the files hold, if they have changed. What cannot be used is said once, and tried again."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return
            self._load(_server_context())  # half of a pair would spoil the one in use
            self._load(self.context)
        except OSError as error:
            with contextlib.suppress(OSError):
                if (stamp := self._stamps()) != self._refused:
                    self._refused = stamp
                    log.error("certificate_not_renewed", reason=str(error), consequence="the one before stays in use")
            return
        self._stamp = stamp
        log.info("certificate_renewed", file=str(self._cert), expires=_expiry(self._cert))

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=NO_PASSPHRASE)
        except OSError as error:
            files = f"{self._cert}" + (f" and {self._key}" if self._key else "")
            raise OSError(f"HEALTHD_TLS_CERT: cannot use {files}: {_why(error, self._key)}") from None

    def _stamps(self) -> Stamp:
        return tuple(_stamp(path) for path in (self._cert, self._key) if path)


def pinned(*chains: str) -> ssl.SSLContext:
    """Trusts the very certificates that these PEM texts begin with, by whatever name they are called: of a replica,
    which has the same one. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for chain in chains:
        context.load_verify_locations(cadata=leaf(chain))
    return context


def leaf(chain: str) -> str:
    """The first certificate of a PEM text: the others vouch for anybody's."""
    begin = chain.find("-----BEGIN CERTIFICATE-----")
    return chain[max(0, begin) : chain.find(END) + len(END)] + "\n"


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _why(error: OSError, key: Path | None) -> str:
    """OpenSSL's words say where it failed, not what is wrong."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the certificate's"
    where = "" if key else "; where the key is a file of its own, HEALTHD_TLS_KEY names it"
    return f"expected a certificate and its private key, without a passphrase, in PEM{where}"


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _expiry(cert: Path) -> str:
    from cryptography import x509

    return x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.isoformat()
