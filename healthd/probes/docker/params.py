"""What the Docker probes have in common as parameters: which engine, which containers."""

from __future__ import annotations

import re
from collections.abc import Hashable
from fnmatch import translate
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from healthd.probes.base import OneOrMany, Params
from healthd.probes.docker.facts import Container
from healthd.probes.tls_options import TlsOptions

__all__ = ["EngineParams", "Labels", "SelectedParams"]

_EXPECTED = "expected unix:///var/run/docker.sock, tcp://host:2375 or https://host:2376"


def _address(url: str) -> str:
    if url.startswith("/"):
        return f"unix://{url}"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.strip("/"):
            raise ValueError(f"{url!r} names no socket: {_EXPECTED}, with three slashes")
        return url
    if parts.username is not None:
        raise ValueError(f"an engine's address takes no user: {_EXPECTED}")
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the address of an engine: {_EXPECTED}")
    if parts.path.strip("/") or parts.query:
        raise ValueError(f"give the address of the engine only, without a path: {_EXPECTED}")
    return url.rstrip("/")


class EngineParams(Params):
    """Where the engine listens. `tcp://` with `tls`, or `https://`, is encrypted."""

    url: Annotated[str, AfterValidator(_address)] = "unix:///var/run/docker.sock"
    tls: TlsOptions | None = None

    @model_validator(mode="after")
    def _tls_needs_network(self) -> EngineParams:
        if self.tls is not None and self.url.startswith(("unix:", "http:")):
            raise ValueError("tls is for tcp:// and https:// addresses")
        return self

    @property
    def socket(self) -> str:
        """The socket's path, "" for an engine on the network."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix:") else ""

    def base(self) -> str:
        """What requests begin with."""
        if self.socket:
            return "http://docker"  # the name is not looked up
        scheme, _, rest = self.url.partition("://")
        return f"{'https' if self.tls is not None else 'http' if scheme == 'tcp' else scheme}://{rest}"

    def identity(self) -> Hashable:
        """Equal for checks that can share an engine's connections and answers."""
        return (self.url, self.tls.identity() if self.tls is not None else None)


def _label(text: str) -> str:
    if not re.fullmatch(r"[^=\s]+(=.*)?", text, re.DOTALL):
        raise ValueError(f"{text!r} is not a label: expected name or name=value")
    return text


Labels = Annotated[OneOrMany, AfterValidator(lambda labels: tuple(map(_label, labels)))]


class SelectedParams(EngineParams):
    """Containers by name (globs allowed), by label (every one must be there), by compose project and service."""

    name: OneOrMany = ()
    label: Labels = ()
    project: str | None = None
    service: OneOrMany = ()

    @model_validator(mode="after")
    def _service_of_a_project(self) -> SelectedParams:
        if self.service and self.project is None:
            raise ValueError("service needs project: services of two projects can have the same name")
        return self

    def wants(self, container: Container) -> bool:
        """Whether the container is one of those selected; without any criterion every one is."""
        if self.name and not re.match("|".join(map(translate, self.name)), container.name):
            return False
        if self.project is not None and container.project != self.project:
            return False
        if self.service and container.service not in self.service:
            return False
        return all(_has(container, label) for label in self.label)

    def selection(self) -> str:
        """The criteria in words, "" without any."""
        words = {"called": self.name, "with label": self.label, "of service": self.service}
        parts = [f"{word} {', '.join(values)}" for word, values in words.items() if values]
        if self.project is not None:
            parts.append(f"of project {self.project}")
        return " ".join(parts)


def _has(container: Container, label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in container.labels and (not equals or container.labels[key] == value)
