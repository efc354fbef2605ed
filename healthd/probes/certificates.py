"""X.509 certificates as people ask about them: how long still, for which names, from whom."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from healthd.model.units import format_duration


def load(der: bytes) -> x509.Certificate:
    """Read one certificate. Raises ValueError."""
    return x509.load_der_x509_certificate(der)


def days_left(certificate: x509.Certificate, now: datetime) -> float:
    """Days until it expires; negative once it has."""
    return (certificate.not_valid_after_utc - now).total_seconds() / 86400


def expiry(certificate: x509.Certificate, now: datetime) -> str:
    """Its validity in words: expired 3d ago, expires in 20d 4h, not valid before 2030-01-01."""
    if now < certificate.not_valid_before_utc:
        return f"not valid before {_day(certificate.not_valid_before_utc)}"
    seconds = (certificate.not_valid_after_utc - now).total_seconds()
    return f"expired {format_duration(-seconds)} ago" if seconds < 0 else f"expires in {format_duration(seconds)}"


def names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """The host names and the IP addresses it is for (its subject alternative names)."""
    try:
        sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return [], []
    hosts = sans.get_values_for_type(x509.DNSName)
    return hosts, [str(address) for address in sans.get_values_for_type(x509.IPAddress)]


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether it is for `host`, by RFC 6125: a wildcard stands for exactly one leftmost label."""
    hosts, addresses = names(certificate)
    with suppress(ValueError):
        return str(ip_address(host.strip("[]").split("%")[0])) in addresses
    wanted = _ascii(host)
    return any(_covers(_ascii(pattern), wanted) for pattern in hosts)


def _covers(pattern: str, host: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == host
    first, _, rest = host.partition(".")
    return bool(first) and rest == pattern[2:] and "." in rest


def _ascii(host: str) -> str:
    try:
        return host.rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        return host.rstrip(".").lower()


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it vouches for itself."""
    return certificate.subject == certificate.issuer


def title(certificate: x509.Certificate) -> str:
    """Its subject in a few words."""
    return _title(certificate.subject) or ", ".join(names(certificate)[0][:1]) or "(no name)"


def _title(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def describe(certificate: x509.Certificate, now: datetime) -> str:
    """Subject, issuer, names, validity and serial number: one line each."""
    hosts, addresses = names(certificate)
    shown = [*hosts, *addresses]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return "\n".join((
        f"subject: {certificate.subject.rfc4514_string() or '(empty)'}",
        f"issuer: {certificate.issuer.rfc4514_string() or '(empty)'}",
        f"names: {', '.join(shown[:20]) or '(none)'}{more}",
        f"valid: {_day(certificate.not_valid_before_utc)} to {_day(certificate.not_valid_after_utc)}"
        f" ({expiry(certificate, now)})",
        f"serial: {certificate.serial_number:x}",
    ))  # fmt: skip


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def chain_order(chain: Iterable[x509.Certificate]) -> str:
    """The chain as the server sends it, leaf first."""
    return " <- ".join(title(certificate) for certificate in chain)
