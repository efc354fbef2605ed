"""`healthd validate`, `list`, `schema`: the catalogue as it is written."""

from __future__ import annotations

import click

from healthd.cli.common import (
    catalogue_or_refuse,
    checks_option,
    format_option,
    known_or_refuse,
    plain,
    print_json,
    print_table,
    settings_or_refuse,
)
from healthd.model.attestations import Task
from healthd.model.catalogue import Check
from healthd.model.units import format_duration


@click.command(short_help="Is the catalogue right? Every mistake with file and line.")
@click.argument("paths", nargs=-1)
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
def validate(paths: tuple[str, ...], strict: bool) -> int:
    """Is the catalogue right? Everything wrong is listed with file and line (exit code 3)."""
    from healthd.workers.terms import locations, obstacle

    settings = settings_or_refuse()
    catalogue = catalogue_or_refuse(settings, paths)
    for warning in catalogue.warnings:
        click.echo(f"warning: {warning}", err=True)
    if (places := sorted(locations(catalogue))) and (problem := obstacle(settings)):
        click.echo(f"note: checks looked at from {', '.join(places)} would be UNKNOWN here: {problem}", err=True)
    for system in catalogue.systems.values():
        asked = f", {_many(len(system.tasks), 'attestation')}" if system.tasks else ""
        known = f"{_many(len(system.checks), 'check')}, {_many(len(system.cadences), 'cadence')}"
        click.echo(f"{system.name}: {known}{asked}")
    return 1 if strict and catalogue.warnings else 0


@click.command("list", short_help="The checks: when each runs, and what it looks with.")
@click.option("--system", help="Only this system.")
@click.option("--cadence", help="Only this cadence.")
@checks_option
@format_option
def list_(system: str, cadence: str, folders: tuple[str, ...], output: str) -> int:
    """The checks: when each runs, what it looks with, what it is judged by; and what people are asked to attest."""
    catalogue = catalogue_or_refuse(settings_or_refuse(), folders)
    known_or_refuse(catalogue, system, cadence)
    found = [
        check
        for check in (*catalogue.checks.values(), *catalogue.tasks.values())
        if (not system or check.system == system) and (not cadence or cadence in check.cadences)
    ]
    if output == "json":
        print_json([_as_json(check) for check in found])
        return 0
    rows = [
        (plain(c.id), plain(when(c)), c.probe.type, c.severity, plain(c.title))
        for c in found
    ]  # fmt: skip
    print_table(("CHECK", "WHEN", "PROBE", "SEVERITY", "TITLE"), rows)
    return 0


@click.command(short_help="JSON Schema of catalogue files, for editors.")
def schema() -> int:
    """JSON Schema of catalogue files, for editors (yaml-language-server)."""
    from healthd.catalogue import schema as make_schema
    from healthd.loading import channel_options
    from healthd.probes import PROBES

    print_json(make_schema(PROBES, channel_options()))
    return 0


def when(check: Check) -> str:
    """A check's cadences and own rules in words."""
    parts = list(check.cadences)
    if isinstance(task := check.probe.params, Task) and task.severities:
        parts.append(f"within {format_duration(task.due.total_seconds())} after {', '.join(task.severities)}")
    for rule in check.rules[len(check.cadences) :]:
        parts.append(f"every {format_duration(rule.every.total_seconds())}" if rule.every else " | ".join(rule.crons))
    return ", ".join(parts)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _as_json(check: Check) -> dict[str, object]:
    return {
        "id": check.id,
        "title": check.title,
        "cadences": list(check.cadences),
        "when": when(check),
        "probe": check.probe.type,
        "location": check.location,
        "severity": check.severity,
        "warning_severity": check.warning_severity,
        "playbook": check.playbook,
        "depends_on": list(check.depends_on),
        "covers": list(check.covers),
        "enabled": check.enabled,
        "source": str(check.source),
        "thresholds": [
            {
                "name": row.name,
                "measure": row.measure,
                **{
                    level: condition.text
                    for level in ("target", "acceptable", "warning", "critical")
                    if (condition := getattr(row, level)) is not None
                },
                "for": row.for_.total_seconds(),
                "recover_for": row.recover_for.total_seconds(),
                "unit": row.unit.value if row.unit else None,
                "note": row.note,
            }
            for row in check.thresholds
        ],
    }
