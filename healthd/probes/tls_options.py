"""How probes that speak TLS are told what to trust and what to show."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Hashable
from pathlib import Path

from pydantic import model_validator

from healthd.probes.base import Params, ProbeError, Resources


class TlsOptions(Params):
    """What to trust (`ca_file`, default: the system's bundle), what to show, and which name to expect."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _pair(self) -> TlsOptions:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        return self

    def unverified(self) -> TlsOptions:
        """The same for looking at a certificate that was refused. Nothing is asked over such a connection."""
        return TlsOptions(cert_file=self.cert_file, key_file=self.key_file, insecure=True)

    def identity(self) -> Hashable:
        """Equal for options that can share a context. A renewed file makes another identity."""
        files = (self.ca_file, self.cert_file, self.key_file)
        return (self.insecure, *((path, _stamp(path)) for path in files if path is not None))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # building the context says why


async def tls_context(options: TlsOptions, resources: Resources, *, check_hostname: bool = True) -> ssl.SSLContext:
    """The shared context for these options. Raises ProbeError (kind config) when a file cannot be used."""
    key = ("tls", check_hostname, options.identity())
    shared: ssl.SSLContext | None = resources.peek(key)
    if shared is not None:
        return shared
    # reading the bundle takes some 25 ms: not on the event loop
    return await resources.get(key, lambda: asyncio.to_thread(_build, options, check_hostname))


def _build(options: TlsOptions, check_hostname: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("ca_file", options.ca_file, error) from None
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not check_hostname:
        context.check_hostname = False
    if options.cert_file is not None:
        try:
            # an encrypted key must fail, not ask on the terminal
            context.load_cert_chain(options.cert_file, options.key_file, password=lambda: "")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable("client certificate", options.cert_file, error) from None
    return context


def _unusable(what: str, path: Path | None, error: Exception) -> ProbeError:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not a PEM file").replace("_", " ").lower()
    else:
        reason = getattr(error, "strerror", None) or str(error)
    return ProbeError(f"{what} {path}: {reason}", kind="config")
