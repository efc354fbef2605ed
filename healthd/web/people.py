"""What people keep quiet and sign for, as pages and API need it of the daemon. Implemented by healthd.services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from healthd.model.attestations import Request
from healthd.model.catalogue import Check
from healthd.model.silences import Silence
from healthd.model.windows import Maintenance


class Silences(Protocol):
    """Changes are recorded and audited. SilenceError says what cannot be, KeyError that there is none."""

    @property
    def known(self) -> Sequence[Silence]:
        """Those that are not over, the newest first."""

    async def recorded(self, limit: int, *, before: datetime | None = None, before_id: str = "") -> Sequence[Silence]:
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

    async def past(self, limit: int) -> Sequence[Maintenance]:
        """Over or called off, as far as anything was said or done about them; the newest first."""

    async def recorded(
        self, limit: int, *, system: str = "", before: datetime | None = None, before_id: str = ""
    ) -> Sequence[Maintenance]:
        """All in the store, over or not, what begins last first."""

    async def find(self, window_id: str) -> Maintenance:
        """Over or not."""

    async def add(self, planned: Maintenance) -> Maintenance:
        """Add one; it is given its id."""

    async def end(self, window_id: str, actor: str) -> Maintenance:
        """End one early, or call it off."""


class Attestations(Protocol):
    """Changes are recorded and audited. AttestationError says what cannot be, KeyError that there is none.

    `name` is a request's id, or the name of what is asked for: of which just one is open.
    """

    @property
    def open(self) -> Sequence[Request]:
        """Those that wait to be signed for, what is due first first."""

    @property
    def tasks(self) -> Mapping[str, Check]:
        """What is asked for, by id."""

    async def recorded(
        self, limit: int, *, of: str = "", before: datetime | None = None, before_id: str = ""
    ) -> Sequence[Request]:
        """All in the store, open or closed, the newest first. `of`: a system, or a task."""

    async def past(self, limit: int, check_id: str = "") -> Sequence[Request]:
        """Those that are closed, the newest first."""

    async def find(self, name: str) -> Request:
        """Open or closed."""

    async def give(self, name: str, by: str, note: str, link: str) -> Request:
        """Sign for it."""

    async def take_back(self, name: str, by: str, reason: str) -> Request:
        """Withdraw a signature."""
