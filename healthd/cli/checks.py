"""`healthd check` runs checks now; `healthd evaluate` judges made-up measurements."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import click

from healthd.cli.common import (
    Refused,
    catalogue_or_refuse,
    checks_option,
    coloured,
    find_check,
    format_option,
    known_or_refuse,
    plain,
    print_json,
    print_table,
    settings_or_refuse,
    shown,
)
from healthd.cli.values import measurement
from healthd.evaluate import FOR_EVER, held
from healthd.look import NOTE, Looker, Shared, judged, limits_of, slots_of
from healthd.model.catalogue import Catalogue, Check, Threshold
from healthd.model.outcomes import Level, Outcome, worst
from healthd.model.redact import Redactor
from healthd.model.units import UnitError, format_duration, format_value, parse_duration
from healthd.settings import Settings


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--system", help="All checks of this system.")
@click.option("--cadence", help="All checks of this cadence.")
@checks_option
@format_option
def check(ids: tuple[str, ...], system: str, cadence: str, folders: tuple[str, ...], output: str) -> int:
    """Run checks now, without a daemon, and print what they see. The exit code is the worst status."""
    from healthd.loading import secrets_of
    from healthd.logs import configure

    settings = settings_or_refuse()
    configure("pretty", "error")
    catalogue = catalogue_or_refuse(settings, folders)
    chosen = _chosen(catalogue, ids, system, cadence)
    redact = Redactor({*secrets_of(settings), *catalogue.secrets})
    if places := sorted({check.location for check in chosen} - {""}):
        click.echo(f"looked at from here; the daemon has it done at {', '.join(places)}", err=True)
    outcomes = look_now(catalogue, chosen, settings, redact, output == "table")
    if output == "json":
        print_json([_as_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            _print(catalogue.checks[outcome.check_id], outcome)
    return int(worst(*(outcome.level for outcome in outcomes)))


@click.command()
@click.argument("check_id")
@click.argument("measurements", nargs=-1, required=True, metavar="MEASURE=VALUE...")
@click.option("--held", "duration", help="For how long it has been so (default: for ever).")
@checks_option
@format_option
def evaluate(check_id: str, measurements: tuple[str, ...], duration: str, folders: tuple[str, ...], output: str) -> int:
    """Judge made-up measurements by a check's thresholds. No I/O.

    \b
    healthd evaluate shop/api latency=620ms
    healthd evaluate shop/disk used_ratio{/var}=91% used_ratio{/}=40% --held 10m
    healthd evaluate shop/backup newest_age=missing
    """
    catalogue = catalogue_or_refuse(settings_or_refuse(), folders)
    found = find_check(catalogue, check_id)
    try:
        named = dict(measurement(found, text) for text in measurements)
    except UnitError as error:
        raise Refused(str(error)) from None
    try:
        lasting = parse_duration(duration) if duration else FOR_EVER
    except UnitError as error:
        raise Refused(f"--held: {error}") from None
    # what is not said is not judged; `measure=missing` asks what its absence would mean
    rows = tuple(row for row in found.thresholds if row.measure in {name for name, _ in named})
    given = [m for m in named.values() if m is not None]
    status, outcome, state = held(replace(found, thresholds=rows), given, lasting)
    if output == "json":
        print_json({
            "check": check_id, "status": status.name.lower(), "level": outcome.level.name.lower(),
            "reason": outcome.reason, "firing": state.firing, "verdicts": _verdicts(outcome),
        })  # fmt: skip
    else:
        pending = f" (now {outcome.level.name}, not for long enough)" if outcome.level.badness > status.badness else ""
        click.echo(f"{check_id}: {status.name}{pending}" + (f": {shown(outcome.reason)}" if outcome.reason else ""))
        _print_verdicts(found, outcome)
    return int(status)


def _chosen(catalogue: Catalogue, ids: Sequence[str], system: str | None, cadence: str | None) -> list[Check]:
    if not ids and not system and not cadence:
        raise Refused("which checks? Give ids, --system or --cadence (see `healthd list`)")
    known_or_refuse(catalogue, system, cadence)
    chosen = [find_check(catalogue, check_id) for check_id in ids]
    if tasks := [check.id for check in chosen if check.is_attestation]:
        raise Refused(f"{tasks[0]} is done by a person: the daemon knows how it stands (see `healthd attest`)")
    if system or cadence:
        chosen += [
            c
            for c in catalogue.checks.values()
            if c.enabled and (not system or c.system == system) and (not cadence or cadence in c.cadences)
        ]
    if not chosen:
        of = [f"{kind} {name}" for kind, name in (("system", system), ("cadence", cadence)) if name]
        raise Refused(f"no enabled check of {' and '.join(of)}; see `healthd list`")
    return list({c.id: c for c in chosen}.values())


def look_now(
    catalogue: Catalogue, checks: list[Check], settings: Settings, redact: Callable[[str], str], progress: bool
) -> list[Outcome]:
    """Look through these checks now, side by side, without a daemon. The outcomes are in the order of `checks`.

    SIGTERM ends the looks as Ctrl-C does: what one has made it clears away, a restore drill its scratch.
    """
    try:
        return asyncio.run(_run_all(catalogue, checks, settings, redact, progress))
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


async def _run_all(
    catalogue: Catalogue, checks: list[Check], settings: Settings, redact: Callable[[str], str], progress: bool
) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import Progress

    from healthd.probes import PROBES
    from healthd.probes.base import Resources
    from healthd.schedule import Due

    if (myself := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, myself.cancel)
    resources = Resources()
    looker = Looker(PROBES, resources, limits_of(settings))
    await looker.prepare(check.probe.type for check in checks)
    now = datetime.now(UTC)
    slots, shared = slots_of(settings), Shared()

    async def one(chosen: Check) -> Outcome:
        due = Due(chosen, now, "manual")
        async with slots.slot(chosen.probe.type):
            zone = catalogue.systems[chosen.system].zone
            return judged(due, await looker.look(due, datetime.now(UTC), zone, shared), redact)

    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not (progress and console.is_terminal)) as bar:
            task = bar.add_task("checking", total=len(checks))
            tasks = [asyncio.ensure_future(one(chosen)) for chosen in checks]
            for done in asyncio.as_completed(tasks):
                await done
                bar.advance(task)
        return [task.result() for task in tasks]
    finally:
        await resources.close()


def _print(check: Check, outcome: Outcome) -> None:
    took = format_duration(outcome.duration.total_seconds())
    from rich.console import Console

    reason = f": {plain(outcome.reason)}" if outcome.reason else ""
    Console(highlight=False, soft_wrap=True).print(f"{coloured(outcome.level)} {plain(check.id)} in {took}{reason}")
    _print_verdicts(check, outcome)
    for evidence in outcome.evidence:
        if outcome.level is not Level.OK or evidence.title == NOTE:
            click.echo(f"  {shown(evidence.title)}:")
            for line in evidence.text.splitlines()[:20]:
                click.echo(f"    {shown(line)}")


def _print_verdicts(check: Check, outcome: Outcome) -> None:
    """Each measurement, with every row that judges it: the one that found it worst first."""
    rows = {row.key: row for row in check.thresholds}
    judged_by: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for v in outcome.verdicts:
        limits = plain(_limits(rows[v.row])) if v.row in rows else ""
        judged_by.setdefault((v.measure, v.series), []).append((coloured(v.level), limits))
    lines = []
    for m in outcome.measurements:
        name = f"{m.name}{{{m.series}}}" if m.series else m.name
        first, *more = judged_by.get((m.name, m.series), [("", "")])
        lines.append((f"  {plain(name)}", plain(format_value(m.value, m.unit)), *first))
        lines += [("", "", *other) for other in more]
    if lines:
        print_table(("", "", "", ""), lines)


def _limits(row: Threshold) -> str:
    levels = ((level, getattr(row, level)) for level in ("target", "acceptable", "warning", "critical"))
    words = [f"{level} {condition.text}" for level, condition in levels if condition is not None]
    return "  ".join([*words, *([f"for {format_duration(row.for_.total_seconds())}"] if row.for_ else [])])


def _verdicts(outcome: Outcome) -> list[dict[str, object]]:
    return [
        {
            "row": v.row, "measure": v.measure, "series": v.series, "value": v.value,
            "unit": v.unit.value if v.unit else None, "level": v.level.name.lower(), "limit": v.limit, "note": v.note,
        }
        for v in outcome.verdicts
    ]  # fmt: skip


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "check": outcome.check_id,
        "level": outcome.level.name.lower(),
        "reason": outcome.reason,
        "started": outcome.started.isoformat(),
        "duration_seconds": outcome.duration.total_seconds(),
        "measurements": [
            {"name": m.name, "value": m.value, "unit": m.unit.value if m.unit else None, "series": m.series}
            for m in outcome.measurements
        ],
        "verdicts": _verdicts(outcome),
        "evidence": [{"title": e.title, "text": e.text} for e in outcome.evidence],
    }
