"""`healthd route-test`: where something would be told, and why."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from healthd.cli.common import (
    Refused,
    catalogue_or_refuse,
    channels_or_refuse,
    checks_option,
    find_check,
    format_option,
    known_or_refuse,
    plain,
    print_json,
    print_table,
    settings_or_refuse,
)
from healthd.model.catalogue import Catalogue, Route, System
from healthd.model.outcomes import Level
from healthd.notify import CHANNELS, wants
from healthd.notify.routes import INCIDENT, Subject, Trial, attempts, chosen

LEVELS = {level.name.lower(): level for level in (Level.WARNING, Level.CRITICAL, Level.UNKNOWN)}
KINDS = (INCIDENT, "report", "attestation", "window", "silence", "postmortem")


@click.command("route-test", short_help="Where an incident or a notice would be told, and why.")
@click.option("--check", metavar="SYSTEM/NAME", help="An incident of this check: its system, severity and labels.")
@click.option("--system", help="Of this system (default: the check's, or the only one).")
@click.option("--severity", help="Default: the check's at that level.")
@click.option("--level", type=click.Choice(list(LEVELS)), default="critical", show_default=True)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Beside those of the check.")
@click.option("--kind", type=click.Choice(KINDS), default=INCIDENT, show_default=True, help="An incident, or a notice.")
@click.option("--cadence", default="", help="Of a report, or of a task asked for.")
@click.option(
    "--at", "moment", metavar="TIME", help="RFC 3339, or local to the system: 2026-01-05T03:00 (default: now)."
)
@checks_option
@format_option
def route_test(
    *,
    check: str | None,
    system: str | None,
    severity: str | None,
    level: str,
    labels: tuple[str, ...],
    kind: str,
    cadence: str,
    moment: str | None,
    folders: tuple[str, ...],
    output: str,
) -> int:
    """Say where an incident or a notice would be told, and what each route has to do with it.

    \b
    healthd route-test --check shop/web --level warning
    healthd route-test --system shop --severity SEV4 --at 2026-01-05T03:00
    healthd route-test --system shop --kind report --cadence morning

    Exit code 1 when nobody would be told.
    """
    settings = settings_or_refuse()
    catalogue = catalogue_or_refuse(settings, folders)
    subject = _subject(
        catalogue,
        check_id=check,
        system=system,
        severity=severity,
        level=level,
        labels=labels,
        kind=kind,
        cadence=cadence,
    )
    at = _moment(moment, subject.zone)
    specs = {**channels_or_refuse(settings), **catalogue.channels}
    event = "firing" if kind == INCIDENT else "notice"
    able = [
        name
        for name, spec in specs.items()
        if wants(spec.options, event) and (kind == INCIDENT or CHANNELS[spec.type].notices)
    ]
    trials = list(attempts(catalogue.routes, subject, at))
    told = chosen(trials, able).channels if trials else tuple(able)
    held = chosen(trials, able).held
    rows = [_row(number, trial, able, specs) for number, trial in enumerate(trials, 1)]
    if output == "json":
        held_until = {name: until.isoformat() for name, until in held.items()}
        print_json({"at": at.isoformat(), "channels": list(told), "held": held_until, "routes": rows})
    else:
        _print(subject, at, rows)
        shown = [f"{name} (from {_local(held[name], subject.zone)})" if name in held else name for name in told]
        click.echo(
            f"told: {', '.join(shown) or 'nobody'}" + ("" if trials else f"; there are no routes: {_all(specs)}")
        )
    return 0 if told else 1


def _subject(
    catalogue: Catalogue,
    *,
    check_id: str | None,
    system: str | None,
    severity: str | None,
    level: str,
    labels: tuple[str, ...],
    kind: str,
    cadence: str,
) -> Subject:
    known_or_refuse(catalogue, system)
    check = find_check(catalogue, _whole(catalogue, check_id)) if check_id else None
    if check and system and check.system != system:
        raise Refused(f"{check.id} is not of the system {system!r}")
    if check and kind != INCIDENT:
        raise Refused(f"a notice ({kind}) is about no check: leave --check out")
    name = system or (check.system if check else next(iter(catalogue.systems)) if len(catalogue.systems) == 1 else "")
    if not name:
        raise Refused(f"--system or --check is needed; there are {', '.join(catalogue.systems)}")
    _named_or_refuse(catalogue.systems[name], severity, cadence)
    if severity is None and check:
        severity = check.severity if level == "critical" else check.warning_severity
    pairs = dict(_label(text) for text in labels)
    zone = catalogue.systems[name].zone
    if kind != INCIDENT:
        return Subject(name, severity or "", kind=kind, cadence=cadence, labels=pairs, zone=zone)
    return Subject(
        name,
        severity or "",
        check_id=check.id if check else "",
        level=LEVELS[level],
        labels={**(check.labels if check else {}), **pairs},
        zone=zone,
    )


def _named_or_refuse(system: System, severity: str | None, cadence: str) -> None:
    """Refused for what nothing of the system has: where that would be told says nothing."""
    used = (name for check in system.checks for name in (check.severity, check.warning_severity) if name)
    severities = dict.fromkeys((*system.severities, *used))
    for kind, given, known in (("severity", severity, severities), ("cadence", cadence, system.cadences)):
        if given and given not in known:
            there = f"; there is {', '.join(known)}" if known else ""
            raise Refused(f"no {kind} {given!r} in {system.name}{there}")


def _whole(catalogue: Catalogue, check_id: str) -> str:
    """The id of a check named without its system, where only one has that name."""
    named = [found for found in catalogue.checks if found.partition("/")[2] == check_id]
    return named[0] if len(named) == 1 else check_id


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Refused(f"--label {text!r}: expected name=value")
    return name, value


def _moment(text: str | None, zone: ZoneInfo) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"--at {text!r} is not a time: expected one such as 2026-01-05T03:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def _row(number: int, trial: Trial, able: Collection[str], specs: Collection[str]) -> dict[str, Any]:
    missing = [name for name in trial.route.channels if name not in able]
    notes = [f"{name}: {'does not take this' if name in specs else 'not configured'}" for name in missing]
    return {
        "number": number,
        "criteria": criteria(trial.route),
        "channels": list(trial.route.channels),
        "result": _result(trial),
        "matched": trial.reached and not trial.failed,
        "notes": notes,
    }


def _all(specs: Collection[str]) -> str:
    return "all channels that take this" if specs else "all channels, and none is configured"


def _result(trial: Trial) -> str:
    if not trial.reached:
        return "not tried: a route before it says continue: false"
    if trial.failed == "hours":
        return "no: outside its hours"
    if trial.failed:
        return f"no: {trial.failed}"
    if trial.until and trial.route.outside == "drop":
        return "matches, outside its hours: dropped"
    return f"matches, held until {trial.until:%Y-%m-%d %H:%M} UTC" if trial.until else "matches"


def criteria(route: Route) -> str:
    """As it is written: "systems: shop; severities: SEV1, SEV2"."""
    words = {
        "kinds": route.kinds,
        "systems": route.systems,
        "severities": route.severities,
        "checks": route.checks,
        "levels": tuple(level.name.lower() for level in route.levels),
        "cadences": route.cadences,
        "labels": tuple(f"{name}={value}" for name, value in route.labels.items()),
        "hours": (route.hours.text,) if route.hours else (),
    }
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in words.items() if values) or "everything"


def _print(subject: Subject, at: datetime, rows: list[dict[str, Any]]) -> None:
    what = [subject.kind, subject.system, subject.severity, subject.check_id]
    what += [subject.level.name.lower()] if subject.level else []
    what += [subject.cadence] + [f"{name}={value}" for name, value in subject.labels.items()]
    click.echo(f"{' '.join(word for word in what if word)}, at {_local(at, subject.zone)}")
    if rows:
        print_table(
            ("", "Route", "Channels", "Result"),
            [
                (
                    str(row["number"]),
                    plain(row["criteria"]),
                    plain(", ".join(row["channels"])),
                    plain("; ".join([row["result"], *(row["notes"] if row["matched"] else ())])),
                )
                for row in rows
            ],
        )


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
