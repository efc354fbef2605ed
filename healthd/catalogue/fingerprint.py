"""Digests: of what matters to a check's state, and of a whole catalogue. No secret can be read back from one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from healthd.catalogue.nodes import Node, Scalar, Sequence
from healthd.model.catalogue import Flapping, ProbeSpec, Rule, Threshold, UnknownPolicy
from healthd.model.conditions import Condition

_USERINFO = re.compile(r"(://[^/?#\s:@]*:)([^/?#\s]*)(?=@)")

_TAG_LENGTH = 6

_PLAIN = frozenset({type(None), bool, int, float, timedelta})


def check_fingerprint(
    probe: ProbeSpec,
    thresholds: Iterable[Threshold],
    rules: Iterable[Rule],
    unknown: UnknownPolicy,
    flapping: Flapping,
    *,
    location: str = "",
) -> str:
    """Changes when what the check looks at, from where, how it judges or when it runs changes; notes do not matter."""
    rows = [(t.measure, t.name, *map(str, _limits(t)), t.for_, t.recover_for, t.unit, t.missing) for t in thresholds]
    runs = [(rule.zone.key, rule.every, rule.crons) for rule in rules]
    place = (location,) if location else ()
    return digest((probe.type, probe.params, repr((rows, runs, unknown, flapping)), *place))


def definition_digest(probe_type: str, params: Node) -> str:
    """Tells that a probe's definition was changed, whatever its variables hold. As short as the digest of a secret, and
    for the same reason: a password may be written there."""
    return digest((probe_type, _as_written(params)))[:_TAG_LENGTH]


def _as_written(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [_as_written(item) for item in node.items]
    return {key.text: _as_written(value) for key, value in node.pairs}


def _limits(threshold: Threshold) -> tuple[Condition | None, ...]:
    return threshold.target, threshold.acceptable, threshold.warning, threshold.critical


def digest(value: Any) -> str:
    """The same for equal values in every process: sets are sorted, nothing depends on addresses or hashing."""
    return hashlib.sha256(_text(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def secrets_in(value: Any) -> Iterator[str]:
    """The values of all secret fields of a model, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        for part in value.__dict__.values():
            yield from secrets_in(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from secrets_in(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from secrets_in(part)


def _text(value: Any) -> str:
    if type(value) in _PLAIN:
        return repr(value)
    if isinstance(value, SecretStr | SecretBytes):
        text = _tag(next(secrets_in(value)))
    elif isinstance(value, Condition):
        text = repr(value.text)
    elif isinstance(value, re.Pattern):
        text = f"/{value.pattern!r}/{value.flags}"
    elif isinstance(value, str):
        text = repr(_USERINFO.sub(lambda m: m[1] + _tag(m[2]), value) if "://" in value else value)
    elif isinstance(value, BaseModel):
        text = _text(value.__dict__)
    elif is_dataclass(value):
        text = _text({f.name: getattr(value, f.name) for f in fields(value)})
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        text = _collection(value)
    else:
        text = str(value)
    return text


def _collection(value: Mapping[Any, Any] | Iterable[Any]) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(k)}:{_text(v)}" for k, v in value.items())) + "}"
    parts = [_text(part) for part in value]
    return "<" + ",".join(sorted(parts)) + ">" if isinstance(value, set | frozenset) else "[" + ",".join(parts) + "]"


def _tag(secret: str) -> str:
    """Three bytes tell that a secret changed; they are too few to find a good password by trying."""
    return "*" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:_TAG_LENGTH]
