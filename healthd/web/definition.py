"""What a check is made of, as the page shows it: its probe's parameters in words, and never a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from healthd.model.catalogue import Check
from healthd.model.redact import MASK, Redactor
from healthd.model.units import format_duration
from healthd.web.daemon import Daemon

MAX_TEXT = 2_000


def definition(check: Check, daemon: Daemon) -> list[tuple[str, str]]:
    """The probe's parameters that were set, as (name, text); values that are or look like secrets are masked."""
    if not isinstance(check.probe.params, BaseModel):
        return []
    redact = Redactor(daemon.catalogue.secrets)
    params = check.probe.params
    given = {name: getattr(params, name) for name in type(params).model_fields if name in params.model_fields_set}
    # name and value go through the redactor together: the name tells whether the value is one
    return [(name, redact(f"{name}: {_text(value)}").partition(": ")[2][:MAX_TEXT]) for name, value in given.items()]


def _text(value: Any) -> str:
    if isinstance(value, SecretStr | SecretBytes):
        return MASK
    if isinstance(value, BaseModel):
        return ", ".join(f"{name}: {_text(getattr(value, name))}" for name in sorted(value.model_fields_set))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if hasattr(value, "total_seconds"):
        return format_duration(value.total_seconds())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_members(value))
    return str(value)


def _members(values: Any) -> Iterator[str]:
    for value in values:
        pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) for part in value)
        if pair:
            yield str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"
        else:
            yield _text(value)
