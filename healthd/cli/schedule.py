"""`healthd next`: the coming runs."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from healthd.cli.common import (
    Refused,
    catalogue_or_refuse,
    checks_option,
    format_option,
    known_or_refuse,
    plain,
    print_json,
    print_table,
    settings_or_refuse,
)
from healthd.model.units import UnitError, format_duration, parse_duration
from healthd.schedule import upcoming


@click.command("next", short_help="The coming calendar runs, and what people are to attest.")
@click.option("--until", default="7d", show_default=True, help="How far ahead: 12h, 7d, 400d.")
@click.option("--from", "start", metavar="TIME", help="From this moment, ISO 8601 (default: now).")
@click.option("--system", help="Only this system.")
@checks_option
@format_option
def next_(until: str, start: str, system: str, folders: tuple[str, ...], output: str) -> int:
    """The coming calendar runs, and what people are asked to attest, each in its system's time zone.

    Interval checks are summed up.
    """
    catalogue = catalogue_or_refuse(settings_or_refuse(), folders)
    known_or_refuse(catalogue, system)
    try:
        ahead = parse_duration(until)
    except UnitError as error:
        raise Refused(f"--until: {error}") from None
    now = _moment(start)
    everything = (*catalogue.checks.values(), *catalogue.tasks.values())
    checks = [c for c in everything if not system or c.system == system]
    runs = upcoming(checks, now, now + ahead)
    if output == "json":
        print_json([
            {
                "at": at.isoformat(),
                "local": at.astimezone(catalogue.systems[check_id.partition("/")[0]].zone).isoformat(),
                "check": check_id,
                "cadence": cadence,
                "kind": "attestation" if check_id in catalogue.tasks else "check",
            }
            for at, check_id, cadence in runs
        ])  # fmt: skip
        return 0
    rows = []
    for at, check_id, cadence in runs:
        local = at.astimezone(catalogue.systems[check_id.partition("/")[0]].zone)
        wait = format_duration(round((at - now).total_seconds()))
        task = " (attestation)" if check_id in catalogue.tasks else ""
        what = plain(check_id + task)
        rows.append((f"{local:%a %Y-%m-%d %H:%M %Z}", f"in {wait}", plain(cadence or "own rule"), what))
    if rows:
        print_table(("WHEN", "", "CADENCE", "CHECK"), rows)
    else:
        click.echo(f"no calendar runs in the {format_duration(ahead.total_seconds())} from {now:%Y-%m-%d %H:%M} UTC on")
    every: dict[str, int] = {}
    for check in checks:
        if check.interval is not None and check.enabled:
            text = format_duration(check.interval.total_seconds())
            every[text] = every.get(text, 0) + 1
    for text, count in every.items():
        click.echo(f"and {count} check{'s' if count > 1 else ''} every {text}")
    return 0


def _moment(text: str | None) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"--from: {text!r} is not a time; expected something like 2026-03-29T00:00:00Z") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
