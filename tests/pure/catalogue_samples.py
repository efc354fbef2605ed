"""Two probe kinds, a channel kind and the shortest way from YAML text to a catalogue, for the catalogue's tests."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from healthd.catalogue import CatalogueError, Problem, load
from healthd.model.catalogue import Catalogue
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Params
from healthd.settings import Settings


class WebParams(Params):
    """Parameters of a web probe."""

    url: str = Field(description="address to ask")
    port: int = Field(80, ge=1, le=65535)
    expect: int | str = 200
    headers: Mapping[str, str] = Field(default_factory=dict)
    password: SecretStr | None = None
    words: bool = False

    @field_validator("url")
    @classmethod
    def _has_scheme(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError(f"{url!r} is not an address: expected http://...")
        return url


class Web:
    """Measures depend on the parameters, and any name may appear where `words` is set."""

    Params = WebParams
    measures: Mapping[str, MeasureInfo] = {
        "up": MeasureInfo(Unit.COUNT, "1 when it answered"),
        "latency": MeasureInfo(Unit.SECONDS, "time to answer"),
        "errors": MeasureInfo(Unit.RATIO, "share of failures"),
        "size": MeasureInfo(Unit.BYTES, "of the answer"),
        "certificate": MeasureInfo(Unit.DAYS, "left"),
        "state": MeasureInfo(Unit.TEXT, "as it calls itself"),
    }
    defaults = (DOWN,)

    def measures_for(self, params: WebParams) -> Mapping[str, MeasureInfo] | None:
        return None if params.words else self.measures


class QueueParams(Params):
    """Parameters of a queue probe."""

    url: SecretStr
    key: str = "jobs"


class Queue:
    """One measure of interest besides `up`."""

    Params = QueueParams
    measures: Mapping[str, MeasureInfo] = {
        "up": MeasureInfo(Unit.COUNT, "1 when it answered"),
        "length": MeasureInfo(Unit.COUNT, "waiting jobs"),
    }
    defaults = (DOWN,)

    def measures_for(self, params: QueueParams) -> Mapping[str, MeasureInfo]:
        return self.measures


class HookOptions(BaseModel):
    """Options of a hook channel."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    url: SecretStr
    note: str = "none"


PROBES: dict[str, Any] = {"web": Web(), "queue": Queue()}
CHANNELS: dict[str, type[BaseModel]] = {"hook": HookOptions}
WEB = "probe: {type: web, url: http://x}"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below `folder`; texts are dedented, bytes taken as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
    return folder


def read(folder: Path | str, *more: Path, **environment: str) -> Catalogue:
    """Load with the sample kinds."""
    return load([folder, *more], probes=PROBES, channels=CHANNELS, settings=Settings(), environment=environment)


def catalogue(folder: Path, text: str | bytes, **environment: str) -> Catalogue:
    """A catalogue of one system `demo` with one file."""
    return read(write(folder, {"demo/system.yaml": text}) / "demo", **environment)


def problems(folder: Path, text: str | bytes, **environment: str) -> tuple[Problem, ...]:
    """The problems of such a catalogue."""
    with pytest.raises(CatalogueError) as caught:
        catalogue(folder, text, **environment)
    assert caught.value.problems
    return caught.value.problems


def lines(folder: Path, text: str | bytes, **environment: str) -> list[str]:
    """The problems as people see them, without the folder."""
    return [str(p).replace(str(folder) + os.sep, "") for p in problems(folder, text, **environment)]
