"""The exposition, read by Prometheus' own tools."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from healthd.evaluate import advance, judge
from healthd.metrics import MAX_SERIES, Metrics
from healthd.model.catalogue import Check, Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome
from healthd.model.units import Unit
from tests.factories import make_check

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATENCY = Threshold(
    "latency", target=parse_condition("< 300ms"), warning=parse_condition(">= 500ms"),
    critical=parse_condition(">= 1s"), unit=Unit.SECONDS,
)  # fmt: skip
SIZE = Threshold("size", critical=parse_condition("< 5MB or > 50MB"), unit=Unit.BYTES)


def outcome(check: Check, *measurements: Measurement) -> Outcome:
    level, reason, verdicts = judge(check.thresholds, measurements)
    return Outcome(check.id, NOW, timedelta(seconds=0.1), level, reason, measurements, verdicts)


async def render(metrics: Metrics, check: Check, *measurements: Measurement) -> str:
    seen = outcome(check, *measurements)
    metrics.ran(check.id, "http", seen.level, 0.1)
    state, _ = advance(check, CheckState(check.id), seen, NOW, NOW + timedelta(minutes=1))
    return (await metrics.render({check.id: check}, {check.id: state}, {check.id: seen})).decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, tuple(sorted({"system": "shop", "check": "web", **labels}.items()))]


async def test_what_a_run_saw_is_exposed_in_base_units() -> None:
    check = make_check(thresholds=(LATENCY, SIZE))
    text = await render(
        Metrics("1.2.3"), check, Measurement("latency", 0.62, Unit.SECONDS), Measurement("size", 6e6, Unit.BYTES)
    )
    assert value(text, "healthd_check_status") == Level.WARNING
    assert value(text, "healthd_check_value", measure="latency", unit="seconds") == 0.62
    assert value(text, "healthd_check_threshold", measure="latency", level="target") == 0.3
    assert value(text, "healthd_check_threshold", measure="latency", level="critical") == 1
    assert value(text, "healthd_check_threshold", measure="size", level="critical", bound="low") == 5e6
    assert value(text, "healthd_check_threshold", measure="size", level="critical", bound="high") == 5e7
    assert value(text, "healthd_check_last_run_timestamp_seconds") == NOW.timestamp()
    assert value(text, "healthd_check_runs_total", status="warning") == 1
    assert value(text, "healthd_check_runs_total", status="ok") == 0
    assert value(text, "healthd_check_overdue") == 0
    assert ("healthd_check_last_ok_timestamp_seconds", (("check", "web"), ("system", "shop"))) not in samples(text)
    assert samples(text)["healthd_build_info", (("revision", ""), ("version", "1.2.3"))] == 1


async def test_a_check_that_has_not_run_is_unknown_and_has_no_timestamps() -> None:
    check = make_check()
    text = (await Metrics("1").render({check.id: check}, {}, {})).decode()
    assert value(text, "healthd_check_status") == Level.UNKNOWN
    assert "healthd_check_last_run_timestamp_seconds{" not in text


async def test_series_are_bounded_and_the_worst_survives() -> None:
    check = make_check(thresholds=(LATENCY,))
    few = [Measurement("latency", 0.1 * i, Unit.SECONDS, f"pod-{i}") for i in range(MAX_SERIES)]
    text = await render(Metrics("1"), check, *few)
    assert value(text, "healthd_check_value", measure="latency", unit="seconds", series="pod-3") > 0.29
    many = [Measurement("latency", 0.001 * i, Unit.SECONDS, f"pod-{i}") for i in range(1500)]
    text = await render(Metrics("1"), check, *many)
    shown = [key for key in samples(text) if key[0] == "healthd_check_value"]
    assert shown == [("healthd_check_value", tuple(sorted(
        {"system": "shop", "check": "web", "measure": "latency", "unit": "seconds", "series": "pod-1499"}.items()
    )))]  # fmt: skip


async def test_words_and_odd_numbers_do_not_break_the_format() -> None:
    check = make_check(name='we"b\\n')
    text = await render(
        Metrics("1"), check, Measurement("state", "connected", Unit.TEXT), Measurement("inf", float("inf")),
        Measurement("nan", float("nan")), Measurement("tiny", 1e-9), Measurement("huge", 1e30),
        Measurement("odd", 1.0, None, 'a"b\\c\nd'), Measurement("twice", 1.0), Measurement("twice", 2.0),
    )  # fmt: skip
    found = {dict(labels)["measure"]: v for (name, labels), v in samples(text).items() if name == "healthd_check_value"}
    assert "state" not in found
    assert found["inf"] == float("inf")
    assert found["tiny"] == 1e-9
    assert found["huge"] == 1e30


async def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: apt-get install prometheus"
    metrics = Metrics("1")
    metrics.missed.labels("shop").inc()
    metrics.notifications.labels("slack", "accepted").inc()
    metrics.schedule_lag.observe(0.01)
    metrics.incidents_open.labels("shop", "SEV1").set(1)
    metrics.outbox_pending.labels("slack").set(0)
    metrics.outbox_oldest.labels("slack").set(0)
    text = await render(metrics, make_check(thresholds=(LATENCY, SIZE)), Measurement("latency", 0.2, Unit.SECONDS))
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


async def test_a_scrape_of_ten_thousand_checks_gives_way_to_the_rest() -> None:
    metrics = Metrics("1")
    checks = {c.id: c for c in (make_check(name=f"c{i}", thresholds=(LATENCY, SIZE)) for i in range(10_000))}
    seen = {c.id: outcome(c, Measurement("latency", 0.2, Unit.SECONDS)) for c in checks.values()}
    states = {c.id: CheckState(c.id, last_run=NOW, last_ok=NOW) for c in checks.values()}
    longest = 0.0

    async def heartbeat() -> None:
        nonlocal longest
        last = time.thread_time()  # of this thread alone: other tests may have the processor meanwhile
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    gc.freeze()  # as the daemon does
    try:
        beating = asyncio.create_task(heartbeat())
        text = await metrics.render(checks, states, seen)
        beating.cancel()
    finally:
        gc.unfreeze()
    assert text.count(b"\nhealthd_check_status{") == 10_000
    assert longest < 0.25  # generous: it is 5 to 15 ms on an idle machine, and 600 ms without slices


async def test_removed_checks_leave_no_samples_behind() -> None:
    metrics = Metrics("1")
    check = make_check(thresholds=(LATENCY,))
    await render(metrics, check, Measurement("latency", 0.2, Unit.SECONDS))
    metrics.forget([check.id])
    assert "shop" not in (await metrics.render({}, {}, {})).decode()
