"""Silences: made and ended by people, kept as records, over by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

import structlog

from healthd.incidents import silences as pure
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident
from healthd.model.matchers import parse_matcher
from healthd.model.silences import Silence, SilenceError
from healthd.services.base import House
from healthd.store.base import AuditEntry, Commit

MOST = 10_000  # silences that are not over: more are nobody's work
log = structlog.get_logger("healthd.silence")


class Silences:
    """All that are not over, in memory; everything in the store."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[str, Silence] = {}
        self._active: tuple[Silence, ...] = ()
        self.generation = 0

    async def restore(self) -> None:
        """What was made before, whether or not its end has passed meanwhile."""
        found = await self._house.store.records(pure.KIND, open_only=True, limit=MOST)
        self._known = {record.id: pure.from_record(record) for record in found}
        self._refresh(self._house.now())

    def adopt(self, catalogue: Catalogue) -> None:
        """Silences may be about what no catalogue knows yet."""

    async def scan(self, now: datetime) -> None:
        """Those that begin or end by now."""
        self._refresh(now)
        over = [s for s in self._known.values() if s.state(now) == "expired"]
        if over:
            for silence in over:
                del self._known[silence.id]
                log.info("silence_over", silence=silence.id, matchers=silence.words, ended_by=silence.ended_by)
            await self._house.recorder.commit(Commit(records=tuple(pure.to_record(s, now) for s in over)))

    async def close(self) -> None:
        """Nothing runs in the background."""

    def why(self, incident: Incident, check: Check) -> str:
        """Who silenced it, until when and why; "" when nobody did."""
        if not self._active:
            return ""
        labels = pure.facts(incident, check)
        return next((pure.why(s) for s in self._active if pure.matches(s, labels)), "")

    # -- what people do --------------------------------------------------------------------------------------------

    @property
    def known(self) -> Sequence[Silence]:
        """Those that are not over, the newest first."""
        now = self._house.now()
        return sorted(
            (s for s in self._known.values() if s.state(now) != "expired"),
            key=lambda s: (s.created_at, s.id),
            reverse=True,
        )

    async def recorded(self, limit: int, *, before: datetime | None = None, before_id: str = "") -> Sequence[Silence]:
        """Those in the store, over or not, the newest first; `before` and `before_id` as the store has them."""
        found = await self._house.store.records(pure.KIND, limit=limit, before=before, before_id=before_id)
        return [self._known.get(record.id) or pure.from_record(record) for record in found]

    async def find(self, silence_id: str) -> Silence:
        """Over or not. Raises KeyError."""
        if silence_id in self._known:
            return self._known[silence_id]
        record = await self._house.store.record(pure.KIND, silence_id)
        if record is None:
            raise KeyError(silence_id)
        return pure.from_record(record)

    async def add(
        self, matchers: Sequence[str], author: str, reason: str, starts: datetime | None, ends: datetime
    ) -> Silence:
        """Make one. Raises SilenceError for one that cannot be."""
        now = self._house.now()
        silence_id = f"SIL-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        parsed = [parse_matcher(text) for text in matchers]
        silence = pure.make(silence_id, parsed, author, reason, (now, starts or now, ends))
        if len(self._known) >= MOST:
            raise SilenceError(f"there are {MOST} silences already", "end some of them")
        until = f"until {silence.ends_at:%Y-%m-%d %H:%M} UTC"
        words = f"{silence.words} {until}: {silence.reason}"
        await self._keep(silence, now, self._house.audited(author, "silence", silence.id, words))
        return silence

    async def expire(self, silence_id: str, actor: str) -> Silence:
        """End one now. KeyError for an unknown one, SilenceError for one that is over."""
        silence, now = await self.find(silence_id), self._house.now()
        if silence.state(now) == "expired":
            raise SilenceError(f"{silence_id} is over already")
        silence = pure.expired(silence, now, actor)
        await self._keep(silence, now, self._house.audited(actor, "expire silence", silence.id, silence.words))
        return silence

    def about(self, silence: Silence) -> Sequence[str]:
        """Ids of the open incidents with a failing check that it is about."""
        corridor, teller = self._house.corridor, self._house.teller
        return [
            incident.id
            for incident in corridor.incidents.values()
            if any(
                pure.matches(silence, pure.facts(incident, check))
                for check in teller.failing(corridor.members(incident.id))
            )
        ]

    async def _keep(self, silence: Silence, now: datetime, entry: AuditEntry) -> None:
        self._known[silence.id] = silence
        self._refresh(now)
        await self._house.recorder.commit(Commit(records=(pure.to_record(silence, now),), audits=(entry,)))

    def _refresh(self, now: datetime) -> None:
        active = tuple(s for s in self._known.values() if s.state(now) == "active")
        self._house.metrics.silences_active.set(len(active))
        if active != self._active:
            self._active = active
            self.generation += 1
