"""What the `tls` probe can be told, as written in YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from healthd.probes.network import IpFamily
from healthd.probes.tls_options import TlsOptions

StartTls = Literal["smtp", "imap", "postgres"]


class TlsParams(TlsOptions):
    """Parameters of the `tls` probe: `host` and `port`, or `file`. See docs/probes/tls.md."""

    host: str | None = Field(None, min_length=1)
    port: int = Field(443, ge=1, le=65535)
    starttls: StartTls | None = None
    ip: IpFamily = "any"
    file: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> TlsParams:
        if (self.host is None) == (self.file is None):
            raise ValueError("give one of host (and port) and file")
        if self.host is not None and ("/" in self.host or ("://" in self.host)):
            raise ValueError(f"host is a name or address, not a URL: {self.host!r}")
        return self

    @property
    def expected_name(self) -> str | None:
        """The name the certificate must be for; None when a file is looked at and no name was given."""
        return self.server_name or self.host
