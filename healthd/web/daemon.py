"""What the page and the API need of the running daemon: the only thing the web room knows of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from healthd.model.catalogue import Catalogue, ChannelSpec
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident
from healthd.model.outcomes import CheckState, Outcome
from healthd.report import Objective, Report
from healthd.settings import Settings
from healthd.store.base import Store
from healthd.web.people import Attestations, Silences, Windows


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """`errors` is empty when the new catalogue is in force; otherwise the old one still is."""

    errors: tuple[str, ...]
    added: int = 0
    changed: int = 0
    removed: int = 0


class Daemon(Protocol):
    """Implemented by healthd.app.App."""

    settings: Settings
    store: Store
    started_at: datetime

    @property
    def catalogue(self) -> Catalogue:
        """In force now."""

    @property
    def states(self) -> Mapping[str, CheckState]:
        """By check id; a check without an entry has not run yet."""

    @property
    def latest(self) -> Mapping[str, Outcome]:
        """The newest outcome by check id."""

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Open incidents by id."""

    @property
    def incident_of(self) -> Mapping[str, str]:
        """By id of a check that fails: the id of its open incident."""

    @property
    def suppressed(self) -> Mapping[str, str]:
        """Checks kept quiet, and the broken dependency that explains each."""

    @property
    def silences(self) -> Silences:
        """What people silenced."""

    @property
    def attestations(self) -> Attestations:
        """What people sign for."""

    @property
    def windows(self) -> Windows:
        """Planned maintenance."""

    @property
    def channels(self) -> Mapping[str, ChannelSpec]:
        """In force: those of the settings and those of the catalogue."""

    @property
    def reload_problem(self) -> str:
        """Why the last reload was refused; empty when it was not."""

    @property
    def leading(self) -> bool:
        """Whether this replica runs the checks, and knows how they stand."""

    @property
    def leader_address(self) -> str:
        """Of the replica that leads, as it says itself; empty while nobody is known to."""

    def unready(self) -> list[str]:
        """Why the daemon cannot run checks; empty when it can."""

    async def exposition(self) -> bytes:
        """`/metrics`, Prometheus text format 0.0.4. Yields to running checks while it renders."""

    async def reload(self, actor: str) -> ReloadResult:
        """Read the catalogue again: all or nothing."""

    async def run_now(self, check_id: str, actor: str) -> Outcome:
        """Run one check now, recorded like any other run. KeyError for an unknown id."""

    async def acknowledge(self, incident_id: str, actor: str, note: str = "") -> Incident:
        """Mark an open incident as somebody's. KeyError for an unknown or resolved one."""

    async def unacknowledge(self, incident_id: str, actor: str) -> Incident:
        """Make an open incident nobody's again. KeyError for an unknown or resolved one."""

    async def remark(self, incident_id: str, actor: str, text: str, at: datetime | None = None) -> None:
        """Note on an incident's timeline what somebody did elsewhere; the same remark `at` the same time once.
        KeyError for an unknown one."""

    async def answer_slack(self, url: str, lines: Sequence[str]) -> None:
        """Tell whoever pressed a button what came of it, at the address Slack gave for that. Never raises; an address
        that is not Slack's gets nothing."""

    def climb(self, incident: Incident) -> Climb:
        """How far an incident has climbed the escalation chain, and what follows."""

    async def write_audit(self, actor: str, action: str, target: str, detail: str = "") -> None:
        """A line in the audit log; the log says so if the store does not take it."""

    async def postmortem(self, incident_id: str) -> str:
        """A post-mortem begun, in Markdown. KeyError for an unknown incident, or one of a system that is gone."""

    async def report_preview(self, system: str, cadence: str) -> Report:
        """The report of a calendar cadence as it would be now. KeyError for an unknown one."""

    async def objectives(self, system: str) -> list[Objective]:
        """Availability of every check of a system against its objective. KeyError for an unknown one."""
