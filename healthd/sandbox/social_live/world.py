"""Social Live as a world: its servers, and what can be broken in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.sandbox.social_live.faults import FAULTS
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.world import Fault


class SocialLive(Production):
    """Social Live's production, with its faults."""

    name: ClassVar[str] = "social-live"
    catalogues: ClassVar[tuple[str, ...]] = ("host", "social-live")
    faults: ClassVar[Mapping[str, Fault[Any]]] = FAULTS
