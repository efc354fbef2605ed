"""Synk as a world: its servers, and what can be broken in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.sandbox.synk.faults import FAULTS
from healthd.sandbox.synk.production import Production
from healthd.sandbox.world import Fault


class Synk(Production):
    """Synk's production, with its faults."""

    name: ClassVar[str] = "synk"
    catalogues: ClassVar[tuple[str, ...]] = ("host", "synk")
    faults: ClassVar[Mapping[str, Fault[Any]]] = FAULTS
