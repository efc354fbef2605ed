"""What is kept of PersistentVolumeClaims."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment, quantity

__all__ = ["CLAIMS", "Claim"]

_NONE: Mapping[str, Any] = {}


class Claim(NamedTuple):
    """A claim. `phase` is Pending, Bound or Lost; `size` in bytes, as given or else as asked for."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    phase: str
    storage_class: str
    size: float | None
    created: datetime | None
    resizing: str


def _claim(item: dict[str, Any]) -> Claim:
    metadata, spec, status = item["metadata"], item.get("spec") or _NONE, item.get("status") or _NONE
    asked = ((spec.get("resources") or _NONE).get("requests") or _NONE).get("storage")
    conditions = [c["type"] for c in status.get("conditions") or () if c.get("status") == "True"]
    return Claim(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        status.get("phase") or "Pending",
        spec.get("storageClassName") or "",
        quantity((status.get("capacity") or _NONE).get("storage") or asked),
        moment(metadata.get("creationTimestamp")),
        ", ".join(conditions),
    )


CLAIMS: Kind[Claim] = Kind("persistentvolumeclaims", ("v1",), _claim)
