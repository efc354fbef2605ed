"""The exposition: what Prometheus scrapes from `/metrics`.

What is bounded (the daemon's own counters and histograms) lives in a prometheus_client registry. The families with
one sample per check are written as text from the states, in slices that give way to running checks: with 10,000
checks the library would hold the event loop for most of a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome, Verdict
from healthd.model.units import UnitError

SLICE_SECONDS = 0.003  # how long rendering may keep the event loop
MAX_SERIES = 20  # series of one measure shown one by one; of more than that only the worst

PROBE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
INCIDENT_BUCKETS = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 259200.0)
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

_FAMILIES = (
    ("healthd_check_status", "gauge", "Status after `for:` and hysteresis: 0 ok, 1 warning, 2 critical, 3 unknown."),
    ("healthd_check_value", "gauge", "Last value of a measure, in its base unit."),
    ("healthd_check_threshold", "gauge", "Limit of a measure, in its base unit, by level."),
    ("healthd_check_last_run_timestamp_seconds", "gauge", "When the last run started."),
    ("healthd_check_last_ok_timestamp_seconds", "gauge", "When the last run that found everything in order started."),
    ("healthd_check_runs_total", "counter", "Runs since healthd started, by what they found."),
    ("healthd_check_overdue", "gauge", "1 if the check has not run when it should have."),
    ("healthd_check_firing", "gauge", "1 if the check is firing."),
    ("healthd_check_flapping", "gauge", "1 if the check changes its mind too often."),
)


class Metrics:
    """All metrics of one daemon. The corridor reports events as they happen; `render` reads the rest when scraped."""

    def __init__(self, version: str, revision: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.probe_duration = Histogram(
            "healthd_probe_duration_seconds", "Duration of one look, by probe type.", ["type"],
            buckets=PROBE_BUCKETS, registry=registry,
        )  # fmt: skip
        self.schedule_lag = Histogram(
            "healthd_schedule_lag_seconds", "How long after it was due a run started.",
            buckets=LAG_BUCKETS, registry=registry,
        )  # fmt: skip
        self.missed = Counter(
            "healthd_schedule_missed_total", "Runs that did not happen when due and are not caught up.",
            ["system"], registry=registry,
        )  # fmt: skip
        self.caught_up = Counter(
            "healthd_schedule_caught_up_total", "Missed calendar runs made up for later.", ["system"], registry=registry
        )
        self.incidents_open = Gauge(
            "healthd_incidents_open", "Open incidents.", ["system", "severity"], registry=registry
        )
        self.incidents_silenced = Gauge(
            "healthd_incidents_silenced", "Open incidents nobody is told of: silences, maintenance windows.",
            ["system", "severity"], registry=registry,
        )  # fmt: skip
        self.silences_active = Gauge("healthd_silences_active", "Silences in effect.", registry=registry)
        self.maintenance_active = Gauge(
            "healthd_maintenance_active", "1 while a maintenance window of the system is open.",
            ["system"], registry=registry,
        )  # fmt: skip
        self.ack_seconds = Histogram(
            "healthd_incident_ack_seconds", "From the opening of an incident to its first acknowledgement.",
            ["system", "severity"], buckets=INCIDENT_BUCKETS, registry=registry,
        )  # fmt: skip
        self.resolve_seconds = Histogram(
            "healthd_incident_resolve_seconds", "From the opening of an incident to its end.",
            ["system", "severity"], buckets=INCIDENT_BUCKETS, registry=registry,
        )  # fmt: skip
        self.response_breaches = Counter(
            "healthd_incident_response_breaches_total", "Incidents nobody acknowledged in the time of their severity.",
            ["system", "severity"], registry=registry,
        )  # fmt: skip
        self.escalations = Counter(
            "healthd_incident_escalations_total", "Levels of escalation chains told of an incident.",
            ["system", "severity", "level"], registry=registry,
        )  # fmt: skip
        self.heartbeat_at = Gauge(
            "healthd_heartbeat_last_success_timestamp_seconds", "When the heartbeat URL last took a ping.",
            registry=registry,
        )  # fmt: skip
        self.heartbeats = Counter(
            "healthd_heartbeats_total", "Pings of the heartbeat URL by what became of them: sent, failed, withheld.",
            ["outcome"], registry=registry,
        )  # fmt: skip
        Gauge("healthd_watchdog", "Always 1: an alert on it always fires, and its silence says that healthd is gone.",
              registry=registry).set(1)  # fmt: skip
        self.notifications = Counter(
            "healthd_notifications_total", "Notifications by what became of the attempt: accepted, retried, gave_up.",
            ["channel", "outcome"], registry=registry,
        )  # fmt: skip
        self.outbox_pending = Gauge(
            "healthd_outbox_pending", "Notifications waiting to be accepted.", ["channel"], registry=registry
        )
        self.outbox_oldest = Gauge(
            "healthd_outbox_oldest_seconds", "Age of the oldest waiting notification.", ["channel"], registry=registry
        )
        self.reload_ok = Gauge(
            "healthd_catalogue_last_reload_successful", "1 if the last reading of the catalogue succeeded.",
            registry=registry,
        )  # fmt: skip
        self.reload_at = Gauge(
            "healthd_catalogue_last_reload_timestamp_seconds", "When the catalogue in force was read.",
            registry=registry,
        )  # fmt: skip
        self.catalogue_checks = Gauge("healthd_catalogue_checks", "Checks in force.", ["system"], registry=registry)
        self.unsaved = Gauge(
            "healthd_store_unsaved_outcomes", "Outcomes kept in memory because the store does not take them.",
            registry=registry,
        )  # fmt: skip
        self.lost = Counter(
            "healthd_store_lost_outcomes_total", "Outcomes given up because the store did not take them for too long.",
            registry=registry,
        )  # fmt: skip
        self.store_errors = Counter("healthd_store_errors_total", "Failed writes to the store.", registry=registry)
        self.leader = Gauge("healthd_leader", "1 if this process runs the checks.", registry=registry)
        self.ready = Gauge("healthd_ready", "1 if the daemon is able to run checks.", registry=registry)
        build = Gauge("healthd_build_info", "Always 1.", ["version", "revision"], registry=registry)
        build.labels(version, revision).set(1)
        self.workers = Gauge("healthd_workers", "Workers that are alive.", ["location"], registry=registry)
        self.worker_seen = Gauge(
            "healthd_worker_last_seen_timestamp_seconds", "When a worker there last gave a sign of life.",
            ["location"], registry=registry,
        )  # fmt: skip
        self.worker_waiting = Gauge(
            "healthd_worker_looks_waiting", "Looks for which no worker has been asked yet.",
            ["location"], registry=registry,
        )  # fmt: skip
        self.worker_under_way = Gauge(
            "healthd_worker_looks_under_way", "Looks that workers have been asked for.", ["location"], registry=registry
        )
        self.worker_looks = Counter(
            "healthd_worker_looks_total", "Looks made elsewhere, by what became of them: answered, unanswered.",
            ["location", "outcome"], registry=registry,
        )  # fmt: skip
        self.worker_look = Histogram(
            "healthd_worker_look_seconds", "Duration of one look at its worker.", ["location"],
            buckets=PROBE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._runs: dict[str, list[int]] = {}
        self._cache: dict[str, tuple[CheckState | None, Outcome | None, int, tuple[str, ...]]] = {}
        self._static: dict[str, tuple[Check, str, str]] = {}

    def ran(self, check_id: str, probe_type: str, level: Level, seconds: float) -> None:
        """One run ended at `level` after `seconds`."""
        self.probe_duration.labels(probe_type).observe(seconds)
        self._runs.setdefault(check_id, [0, 0, 0, 0])[level] += 1

    def forget(self, check_ids: Iterable[str]) -> None:
        """Checks no longer in the catalogue have no samples."""
        for check_id in check_ids:
            self._runs.pop(check_id, None)
            self._cache.pop(check_id, None)
            self._static.pop(check_id, None)

    async def render(
        self, checks: Mapping[str, Check], states: Mapping[str, CheckState], latest: Mapping[str, Outcome]
    ) -> bytes:
        """Prometheus text format 0.0.4. Gives way to the event loop every few milliseconds."""
        columns: list[list[str]] = [[] for _ in _FAMILIES]
        give_way_at = time.perf_counter() + SLICE_SECONDS
        for check in list(checks.values()):
            for column, text in zip(columns, self._samples(check, states, latest), strict=True):
                if text:
                    column.append(text)
            if time.perf_counter() > give_way_at:
                await asyncio.sleep(0)
                give_way_at = time.perf_counter() + SLICE_SECONDS
        parts: list[bytes] = [generate_latest(self.registry)]
        for (name, kind, help_text), column in zip(_FAMILIES, columns, strict=True):
            await asyncio.sleep(0)
            parts.append(f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n".encode())
            for start in range(0, len(column), 2000):
                parts.append("".join(column[start : start + 2000]).encode())
                await asyncio.sleep(0)
        return b"".join(parts)

    def _samples(
        self, check: Check, states: Mapping[str, CheckState], latest: Mapping[str, Outcome]
    ) -> tuple[str, ...]:
        """The text of each family for one check; unchanged since the last scrape, it is the same text."""
        state, outcome = states.get(check.id), latest.get(check.id)
        runs = self._runs.get(check.id)
        total = sum(runs) if runs else 0
        cached = self._cache.get(check.id)
        known = self._static.get(check.id)
        if known is None or known[0] is not check:
            labels = f'system="{_escape(check.system)}",check="{_escape(check.name)}"'
            known = self._static[check.id] = (check, labels, _thresholds(check, labels))
        elif cached is not None and cached[0] is state and cached[1] is outcome and cached[2] == total:
            return cached[3]
        samples = _check_samples(known[1], known[2], state, outcome, runs)
        self._cache[check.id] = (state, outcome, total, samples)
        return samples


def _check_samples(
    labels: str, thresholds: str, state: CheckState | None, outcome: Outcome | None, runs: list[int] | None
) -> tuple[str, ...]:
    status = int(state.status) if state else int(Level.UNKNOWN)
    ran = "".join(
        f'healthd_check_runs_total{{{labels},status="{level.name.lower()}"}} {runs[level] if runs else 0}\n'
        for level in Level
    )
    return (
        f"healthd_check_status{{{labels}}} {status}\n",
        _values(labels, outcome) if outcome else "",
        thresholds,
        _timestamp("healthd_check_last_run_timestamp_seconds", labels, state.last_run if state else None),
        _timestamp("healthd_check_last_ok_timestamp_seconds", labels, state.last_ok if state else None),
        ran,
        f"healthd_check_overdue{{{labels}}} {int(state.overdue) if state else 0}\n",
        f"healthd_check_firing{{{labels}}} {int(state.firing) if state else 0}\n",
        f"healthd_check_flapping{{{labels}}} {int(state.flapping) if state else 0}\n",
    )


def _timestamp(name: str, labels: str, at: datetime | None) -> str:
    return f"{name}{{{labels}}} {at.timestamp():.3f}\n" if at else ""


def _values(labels: str, outcome: Outcome) -> str:
    by_name: dict[str, list[Measurement]] = {}
    for measurement in outcome.measurements:
        if not isinstance(measurement.value, str):
            by_name.setdefault(measurement.name, []).append(measurement)
    lines: list[str] = []
    for name, found in by_name.items():
        judged = next((v for v in outcome.verdicts if v.measure == name), None)
        seen: set[str] = set()
        for m in found if len(found) <= MAX_SERIES else [_worst(found, judged)]:
            if m.series in seen:
                continue
            seen.add(m.series)
            series = f',series="{_escape(m.series)}"' if m.series else ""
            unit = m.unit.value if m.unit else ""
            lines.append(
                f'healthd_check_value{{{labels},measure="{_escape(name)}"{series},unit="{unit}"}} {_number(m.value)}\n'
            )
    return "".join(lines)


def _worst(found: list[Measurement], judged: Verdict | None) -> Measurement:
    if judged is not None:
        return next((m for m in found if m.series == judged.series), found[0])
    return max(found, key=lambda m: float(m.value))


def _thresholds(check: Check, labels: str) -> str:
    lines: dict[str, str] = {}  # by labels: of two rows for one measure the first is shown
    for row in check.thresholds:
        for level in ("target", "acceptable", "warning", "critical"):
            condition = getattr(row, level)
            if condition is None:
                continue
            try:
                limits = condition.limits(row.unit)
            except UnitError:
                continue
            head = f'healthd_check_threshold{{{labels},measure="{_escape(row.measure)}",level="{level}"'
            for limit, bound in zip(limits, _bounds(limits), strict=True):
                lines.setdefault(f"{head}{bound}}}", _number(limit))
    return "".join(f"{sample} {limit}\n" for sample, limit in lines.items())


def _bounds(limits: tuple[float, ...]) -> list[str]:
    """A range has two limits at one level: told apart by a label of their own."""
    if len(limits) < 2:
        return [""] * len(limits)
    low, high = min(limits), max(limits)
    return [f',bound="{"low" if x == low else "high" if x == high else f"mid{i}"}"' for i, x in enumerate(limits)]


def _number(value: float | str) -> str:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number) if number != int(number) or abs(number) >= 1e15 else str(int(number))


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
