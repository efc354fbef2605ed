"""`healthd incidents`, `healthd incident` and `healthd postmortem`: what a running daemon knows of incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from healthd.cli.common import STYLES, format_option, plain, print_json, print_table, shown
from healthd.cli.remote import every, get, part, url_option
from healthd.model.outcomes import Level
from healthd.model.units import format_duration

WIDE = 120  # columns of a terminal that a table takes
SHOWN_LINES = 20  # of each piece of evidence


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--system", default="", help="Of this system.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@format_option
@url_option
def incidents(everything: bool, system: str, limit: int, output: str, url: str | None) -> int:
    """List open incidents, the newest first. The exit code is the worst level of the open ones, 0 without any."""
    opened = every("/incidents", {"system": system, "open": "true"}, url)
    found = every("/incidents", {"system": system}, url, limit) if everything else opened[:limit]
    if system and not found:  # where there is no system of that name, this is refused, with the nearest
        get("/checks", {"system": system, "limit": "1"}, url)
    if output == "json":
        print_json(found)
    elif found:
        _print(found)
        if len(opened) > limit and not everything:
            click.echo(f"the newest {limit} of {len(opened)}: --limit shows more", err=True)
    else:
        click.echo("no incidents" if everything else "no open incidents")
    return max((int(_level(i)) for i in opened), key=lambda n: Level(n).badness, default=0)


@click.command(short_help="Show one: diagnosis, timeline, steps of its playbook.")
@click.argument("incident_id")
@format_option
@url_option
def incident(incident_id: str, output: str, url: str | None) -> int:
    """Show INCIDENT_ID: diagnosis, timeline, and the steps its playbook suggests. Exit code: its level, 0 once over."""
    found = get(f"/incidents/{part(incident_id, 'incident')}", url=url).json()
    if output == "json":
        print_json(found)
    else:
        for line in _lines(found):
            click.echo(shown(line))
    return int(_level(found)) if found["open"] else 0


@click.command(short_help="Print a post-mortem of an incident in Markdown.")
@click.argument("incident_id")
@url_option
def postmortem(incident_id: str, url: str | None) -> int:
    """Print a post-mortem of INCIDENT_ID in Markdown, filled in as far as the daemon knows."""
    click.echo(shown(get(f"/incidents/{part(incident_id, 'incident')}/postmortem", url=url).text), nl=False)
    return 0


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """As a table; on a narrow terminal in two lines each, with the id in one piece."""
    from rich.console import Console
    from rich.padding import Padding

    rows = [_row(incident) for incident in found]
    console = Console(highlight=False)
    if not console.is_terminal or console.width >= WIDE:
        print_table(("ID", "LEVEL", "SEVERITY", "SINCE", "", "ACKNOWLEDGED", "WHAT"), rows)
        return
    for number, level, severity, _, lasted, acknowledged, what in rows:
        by = f"acknowledged by {acknowledged}" if acknowledged else ""
        console.print("  ".join(part for part in (number, level, severity, lasted, by) if part))
        console.print(Padding(what, (0, 0, 0, 4)))


def _row(found: Mapping[str, Any]) -> Sequence[str]:
    level, opened = _level(found), datetime.fromisoformat(found["opened_at"])
    end = datetime.fromisoformat(found["resolved_at"]) if found["resolved_at"] else None
    lasted = format_duration(round(((end or datetime.now(UTC)) - opened).total_seconds()))
    what = f"{found['title']}: {found['reason']}" if found["reason"] else found["title"]
    return (
        found["id"],
        f"[{STYLES[level]}]{level.name}[/]" if found["open"] else "over",
        plain(found["severity"]),
        f"{opened:%Y-%m-%d %H:%M}Z",
        f"{'' if found['open'] else 'lasted '}{lasted}",
        plain(found["acknowledged_by"]) or ("nobody" if found["open"] else ""),
        plain(what),
    )


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    level = _level(found)
    state = level.name if found["open"] else f"over since {found['resolved_at']}"
    severity = f" {found['severity']}" if found["severity"] else ""
    yield f"{found['id']}: {state}{severity}: {found['title']}"
    yield f"  {found['reason']}"
    yield f"  check {found['check']}, since {found['opened_at']}, {_owner(found)}"
    yield from _climb(found["escalation"])
    if found.get("diagnosis"):
        yield ""
        yield from diagnosis_lines(found["diagnosis"])
    yield ""
    yield "Timeline"
    for entry in found["timeline"]:
        by = f" ({entry['actor']})" if entry["actor"] not in ("", "healthd") else ""
        kind = "" if entry["text"].startswith(entry["kind"]) else f"{entry['kind']}: "
        yield f"  {entry['at']}  {kind}{entry['text']}{by}"
    yield from _steps(found.get("steps", ()))


def _climb(climb: Mapping[str, Any]) -> Iterator[str]:
    if climb["at"]:
        yield f"  next {climb['next']}, {climb['who']}, at {climb['at']}, unless it is {climb['until']} by then"


def diagnosis_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """A diagnosis for people."""
    yield f"Diagnosis ({found['answered']} of {found['steps']} steps answered in {found['seconds']} s)"
    for position, finding in enumerate(found["findings"]):
        yield f"  {'likely cause: ' if position == 0 else ''}{finding['text']}"
        if finding["command"]:
            yield f"    $ {finding['command']}"
    for result in found["results"]:
        yield f"  {result['level']}: {result['title']}: {result['error'] or result['text'] or 'in order'}"
        lines = result["evidence"].splitlines() if result["level"] != "ok" else []
        yield from (f"      {line}" for line in lines[:SHOWN_LINES])


def _steps(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not steps:
        return
    yield ""
    yield "Suggested by its playbook (healthd executes none of it)"
    for step in steps:
        yield f"  - {'(' + step['when'] + ') ' if step['when'] else ''}{step['title']}"
        if step["command"]:
            yield f"    $ {step['command']}"


def _owner(found: Mapping[str, Any]) -> str:
    return f"acknowledged by {found['acknowledged_by']}" if found["acknowledged_by"] else "not acknowledged"


def _level(found: Mapping[str, Any]) -> Level:
    return Level[found["level"].upper()]
