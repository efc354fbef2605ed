"""`healthd window`: maintenance windows, through the daemon's API."""

from __future__ import annotations

import click

from healthd.cli.common import Refused, format_option, plain, print_json, print_table
from healthd.cli.remote import by_option, every, given, part, post, url_option
from healthd.cli.times import length, local, moment


@click.group(short_help="Maintenance windows of a system.")
def window() -> None:
    """Maintenance windows: while one is open nobody is told of its system's incidents; all are recorded.

    Those of the catalogue (`windows:`) and those added here are announced ahead, at their start and at their end.
    """


@window.command()
@click.argument("system")
@click.option("--reason", required=True, help="What is done; told in the announcements.")
@click.option("--for", "duration", default="", help="How long: 30m, 2h.")
@click.option("--until", default="", metavar="TIME", help="Instead: until this moment, ISO 8601.")
@click.option("--from", "start", default="", metavar="TIME", help="It begins at this moment (default: now).")
@click.option("--notice", default="", help="How long ahead it is announced (default: 48h).")
@click.option("--except-severity", "spared", multiple=True, help="Incidents of this severity are told all the same.")
@by_option
@url_option
@format_option
def add(
    *,
    system: str,
    reason: str,
    duration: str,
    until: str,
    start: str,
    notice: str,
    spared: tuple[str, ...],
    actor: str,
    url: str,
    output: str,
) -> int:
    """Announce maintenance of a system, and print the window's id.

    \b
    healthd window add shop --from 2026-03-29T22:00Z --for 2h --reason "PostgreSQL 16"
    """
    if bool(duration) == bool(until):
        raise Refused("either --for or --until says when it ends: give one of them")
    made = post(
        "/windows",
        {
            "system": system,
            "reason": reason,
            "actor": actor,
            "except_severities": list(spared),
            **given(
                starts_at=moment(start, "--from"),
                ends_at=moment(until, "--until"),
                duration=length(duration, "--for"),
                notice=length(notice, "--notice"),
            ),
        },
        url,
    ).json()
    if output == "json":
        print_json(made)
        return 0
    click.echo(made["id"])
    click.echo(f"{local(made['starts_at'])} to {local(made['ends_at'])}", err=True)
    return 0


@window.command("list")
@click.option("--system", default="", help="Only this system.")
@click.option("--past", is_flag=True, help="Those that are over instead.")
@url_option
@format_option
def list_(system: str, past: bool, url: str, output: str) -> int:
    """The windows that are open, and those of the next two weeks."""
    found = every("/windows", {"system": system, "past": str(past).lower()}, url)
    if output == "json":
        print_json(found)
        return 0
    if not found:
        click.echo("no window is over" if past else "no window is open, or planned in the next two weeks")
        return 0
    rows = [
        (plain(w["id"]), w["state"], w["system"], local(w["starts_at"]), local(w["ends_at"]), plain(w["title"]))
        for w in found
    ]
    print_table(("ID", "STATE", "SYSTEM", "FROM", "UNTIL", "WHAT"), rows)
    return 0


@window.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@by_option
@url_option
def end(ids: tuple[str, ...], actor: str, url: str) -> int:
    """End windows early, or call off those to come. Of the catalogue's just this occurrence."""
    for window_id in ids:
        ended = post(f"/windows/{part(window_id, 'window')}/end", {"actor": actor}, url).json()
        click.echo(f"{window_id}: {ended['state']}")
    return 0
