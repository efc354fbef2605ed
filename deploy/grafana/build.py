"""Writes the dashboards beside this file, and into the Helm chart: python -m deploy.grafana.build

Everything is drawn from healthd's own metrics, so that it works wherever healthd does.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from deploy.grafana.panels import Panel, Query, dashboard, series, stat, table, timeline, variable

HERE = Path(__file__).parent
CHART = HERE.parent / "helm/healthd/files"
SYSTEM = 'system=~"$system"'
BAD = ((1, "red"),)


def overview() -> Panel:
    """Everything at a glance."""
    firing = "healthd_check_status == 2 and on (system, check, instance) healthd_check_firing == 1"
    return dashboard("healthd-overview", "healthd: overview", [
        (4, [
            stat("Critical", Query("count(healthd_check_status == 2) or vector(0)"), colours=BAD),
            stat("Warning", Query("count(healthd_check_status == 1) or vector(0)"), colours=((1, "orange"),)),
            stat("Unknown", Query("count(healthd_check_status == 3) or vector(0)"), colours=((1, "purple"),)),
            stat("OK", Query("count(healthd_check_status == 0) or vector(0)")),
            stat("Open incidents", Query("sum(healthd_incidents_open) or vector(0)"), colours=BAD),
            stat("Overdue", Query("sum(healthd_check_overdue) or vector(0)"), colours=BAD),
        ]),
        (8, [
            table("Firing and critical", Query(firing)),
            table("Checks by system", Query("count by (system) (healthd_check_status)")),
        ]),
        (9, [
            series("Checks by status", *(
                Query(f"count(healthd_check_status == {level}) or vector(0)", word)
                for level, word in enumerate(("OK", "WARNING", "CRITICAL", "UNKNOWN"))
            ), stacked=True),
            series("Open incidents", Query(
                "sum by (system, severity) (healthd_incidents_open)", "{{system}} {{severity}}"
            ), stacked=True),
        ]),
    ])  # fmt: skip


def system() -> Panel:
    """One system: its checks over time."""
    counted = f"healthd_check_status{{{SYSTEM}}}"
    return dashboard("healthd-system", "healthd: system", [
        (4, [
            stat("Critical", Query(f"count({counted} == 2) or vector(0)"), colours=BAD),
            stat("Warning", Query(f"count({counted} == 1) or vector(0)"), colours=((1, "orange"),)),
            stat("Open incidents", Query(f"sum(healthd_incidents_open{{{SYSTEM}}}) or vector(0)"), colours=BAD),
            stat("Acknowledged within, median", Query(
                "histogram_quantile(0.5, sum by (le) (increase("
                f"healthd_incident_ack_seconds_bucket{{{SYSTEM}}}[30d])))"
            ), unit="s"),
        ]),
        (16, [timeline("Checks", Query(f"max by (check) ({counted})", "{{check}}"))]),
        (9, [
            series("Runs that were critical, per hour", Query(
                f'sum by (check) (increase(healthd_check_runs_total{{{SYSTEM}, status="critical"}}[1h])) > 0',
                "{{check}}",
            )),
            series("Incidents acknowledged too late", Query(
                f"sum by (severity) (increase(healthd_incident_response_breaches_total{{{SYSTEM}}}[1d]))",
                "{{severity}}",
            )),
        ]),
    ], [variable("system", "label_values(healthd_check_status, system)")])  # fmt: skip


def check() -> Panel:
    """One check: its values against their limits."""
    chosen = 'system="$system", check="$check"'
    return dashboard("healthd-check", "healthd: check", [
        (4, [
            stat("Status", Query(f"max(healthd_check_status{{{chosen}}})"), colours=((1, "orange"), (2, "red"))),
            stat("Last run", Query(f"time() - max(healthd_check_last_run_timestamp_seconds{{{chosen}}})"), unit="s"),
            stat("Last OK", Query(f"time() - max(healthd_check_last_ok_timestamp_seconds{{{chosen}}})"), unit="s"),
            stat("Available, 7 days", Query(
                f'1 - (sum(increase(healthd_check_runs_total{{{chosen}, status="critical"}}[7d])) or vector(0))'
                f' / sum(increase(healthd_check_runs_total{{{chosen}, status!="unknown"}}[7d]))'
            ), unit="percentunit"),
        ]),
        (12, [
            series(
                "$measure and its limits",
                Query(f'healthd_check_value{{{chosen}, measure="$measure"}}', "{{series}} {{unit}}"),
                Query(f'healthd_check_threshold{{{chosen}, measure="$measure"}}', "limit {{level}}"),
            ),
        ]),
        (4, [timeline("Status", Query(f"max by (check) (healthd_check_status{{{chosen}}})", "{{check}}"))]),
    ], [
        variable("system", "label_values(healthd_check_status, system)"),
        variable("check", 'label_values(healthd_check_status{system="$system"}, check)'),
        variable("measure", 'label_values(healthd_check_value{system="$system", check="$check"}, measure)'),
    ])  # fmt: skip


def itself() -> Panel:
    """healthd itself."""
    return dashboard("healthd-itself", "healthd: itself", [
        (4, [
            stat("Ready", Query("max(healthd_ready)"), colours=((0, "red"), (1, "green"))),
            stat("Leaders", Query("sum(healthd_leader)"), colours=((0, "red"), (1, "green"), (2, "red"))),
            stat("Catalogue in order", Query("min(healthd_catalogue_last_reload_successful)"),
                 colours=((0, "red"), (1, "green"))),
            stat("Checks", Query("sum(healthd_catalogue_checks)")),
            stat("Oldest message waits", Query("max(healthd_outbox_oldest_seconds) or vector(0)"), unit="s",
                 colours=((300, "orange"), (600, "red"))),
            stat("Outcomes unsaved", Query("sum(healthd_store_unsaved_outcomes)"), colours=BAD),
        ]),
        (9, [
            series("Runs per second", Query("sum by (status) (rate(healthd_check_runs_total[5m]))", "{{status}}"),
                   unit="ops", stacked=True),
            series("How late runs start", Query(
                "histogram_quantile(0.99, sum by (le) (rate(healthd_schedule_lag_seconds_bucket[5m])))", "99 %"
            ), Query(
                "histogram_quantile(0.5, sum by (le) (rate(healthd_schedule_lag_seconds_bucket[5m])))", "median"
            ), unit="s"),
        ]),
        (9, [
            series("How long looks take, 95 %", Query(
                "histogram_quantile(0.95, sum by (type, le) (rate(healthd_probe_duration_seconds_bucket[5m])))",
                "{{type}}",
            ), unit="s"),
            series("Notifications", Query(
                "sum by (channel, outcome) (increase(healthd_notifications_total[5m]))", "{{channel}} {{outcome}}"
            )),
        ]),
        (9, [
            series("CPU", Query("rate(process_cpu_seconds_total[5m]) and on (job, instance) healthd_build_info",
                                "{{instance}}"), unit="percentunit"),
            series("Memory", Query("process_resident_memory_bytes and on (job, instance) healthd_build_info",
                                   "{{instance}}"), unit="bytes"),
            series("Runs missed and caught up", Query("sum by (system) (increase(healthd_schedule_missed_total[15m]))",
                                                      "missed {{system}}"),
                   Query("sum by (system) (increase(healthd_schedule_caught_up_total[15m]))", "caught up {{system}}")),
        ]),
    ])  # fmt: skip


def documented(uid: str, title: str, system_name: str, panels: list[tuple[str, list[str], str]]) -> Panel:
    """A dashboard as a runbook lists its panels: what the named checks measured, with their limits."""
    drawn = []
    for name, checks, unit in panels:
        chosen = f'system="{system_name}", check=~"{"|".join(checks)}"'
        limits = f"max by (check, measure, level) (healthd_check_threshold{{{chosen}}})"
        value = Query(f"healthd_check_value{{{chosen}}}", "{{check}} {{measure}} {{series}}")
        drawn.append(series(name, value, Query(limits, "limit {{check}} {{level}}"), unit=unit))
    rows = [(9, drawn[start : start + 2]) for start in range(0, len(drawn), 2)]
    return dashboard(uid, title, rows)


# "Grafana Dashboards" of the SyncWatch operations guide
SYNCWATCH = {
    "syncwatch-overview": ("SyncWatch overview", [
        ("Active users of the last 24 hours", ["active-users"], "short"),
        ("Request rate", ["request-rate"], "reqps"),
        ("Error rate", ["error-rate-5xx", "error-rate-4xx"], "percentunit"),
        ("API latency", ["api-latency-p50", "api-latency-p95", "api-latency-p99"], "s"),
        ("Active rooms", ["rooms"], "short"),
        ("Video uploads", ["uploads"], "short"),
    ]),
    "syncwatch-infrastructure": ("SyncWatch infrastructure", [
        ("CPU usage", ["cpu-usage", "pod-usage"], "percentunit"),
        ("Memory usage", ["memory-usage"], "percentunit"),
        ("Disk I/O", ["disk-io"], "Bps"),
        ("Network I/O", ["network-io"], "Bps"),
        ("Database connections", ["database-connections"], "short"),
        ("Redis memory", ["redis-memory"], "short"),
    ]),
    "syncwatch-video-sync": ("SyncWatch video and sync", [
        ("Sync drift", ["sync-drift"], "s"),
        ("Transcoding queue depth", ["transcoding-queue"], "short"),
        ("Transcoding duration", ["transcoding-duration"], "s"),
        ("HLS segment delivery time", ["segment-delivery"], "s"),
        ("WebSocket connections", ["websocket-connections"], "short"),
    ]),
}  # fmt: skip


def dashboards() -> dict[str, Panel]:
    """By file name without its ending."""
    own = {"overview": overview(), "system": system(), "check": check(), "healthd": itself()}
    return own | {name: documented(name, title, "syncwatch", panels) for name, (title, panels) in SYNCWATCH.items()}


def main() -> None:
    """Write them all."""
    for name, made in dashboards().items():
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
        (CHART / f"{name}.json").write_text(text, encoding="utf-8")
    shutil.copyfile(HERE.parent / "prometheus/rules.yaml", CHART / "rules.yaml")


if __name__ == "__main__":
    main()
