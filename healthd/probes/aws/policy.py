"""The IAM policies that the AWS probes need, made from the operations they declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from healthd.probes import PROBES
from healthd.probes.aws.operations import Operation, allowed, policy_document
from healthd.probes.aws.probe import AwsProbe

__all__ = ["policy"]


def policy(*kinds: str) -> dict[str, Any]:
    """The least policy document for probes of these types. Raises ValueError for a type that is not of AWS."""
    return policy_document(one for kind in kinds for operation in _operations(kind) for one in allowed(operation, {}))


def _operations(kind: str) -> Iterator[Operation]:
    probe = PROBES.get(kind)
    if not isinstance(probe, AwsProbe):
        raise ValueError(f"{kind!r} is not a probe of AWS")
    yield from probe.operations
