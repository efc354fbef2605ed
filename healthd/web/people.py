"""What people keep quiet, as pages and API need it of the daemon. Implemented by healthd.services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from healthd.model.silences import Silence
from healthd.model.windows import Maintenance


class Silences(Protocol):
    """Changes are recorded and audited. SilenceError says what cannot be, KeyError that there is none."""

    @property
    def known(self) -> Sequence[Silence]:
        """Those that are not over, the newest first."""

    async def past(self, limit: int, before: datetime | None = None) -> Sequence[Silence]:
        """All in the store, over or not, the newest first."""

    async def find(self, silence_id: str) -> Silence:
        """Over or not."""

    async def add(
        self, matchers: Sequence[str], author: str, reason: str, starts: datetime | None, ends: datetime
    ) -> Silence:
        """Make one; `matchers` as people write them."""

    async def expire(self, silence_id: str, actor: str) -> Silence:
        """End one now."""

    def about(self, silence: Silence) -> Sequence[str]:
        """Ids of the open incidents it is about."""


class Windows(Protocol):
    """Changes are recorded and audited. WindowError says what cannot be, KeyError that there is none."""

    @property
    def known(self) -> Sequence[Maintenance]:
        """Open or to come, the soonest first."""

    async def past(self, limit: int, before: datetime | None = None) -> Sequence[Maintenance]:
        """Over or called off, as far as anything was said or done about them; the newest first."""

    async def add(self, planned: Maintenance) -> Maintenance:
        """Add one; it is given its id."""

    async def end(self, window_id: str, actor: str) -> Maintenance:
        """End one early, or call it off."""
