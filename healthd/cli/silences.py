"""`healthd silence`: keep incidents quiet for a while, through the daemon's API."""

from __future__ import annotations

import click

from healthd.cli.common import Refused, format_option, plain, print_json, print_table
from healthd.cli.remote import by_option, every, given, part, post, url_option
from healthd.cli.times import length, local, moment


@click.group(short_help="Keep incidents quiet for a while.")
def silence() -> None:
    """Keep incidents quiet for a while: they are recorded and shown, and nobody is told.

    What is still open when a silence ends is told then.
    """


@silence.command(short_help="Silence incidents that meet all matchers.")
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER...")
@click.option("--reason", required=True, help="Why, for those who wonder why nobody was told.")
@click.option("--for", "duration", default="", help="How long: 30m, 2h, 3d (default: 1h).")
@click.option("--until", default="", metavar="TIME", help="Instead: until this moment, ISO 8601.")
@click.option("--from", "start", default="", metavar="TIME", help="From this moment on (default: now).")
@by_option
@url_option
@format_option
def add(
    *, matchers: tuple[str, ...], reason: str, duration: str, until: str, start: str, actor: str, url: str, output: str
) -> int:
    """Silence incidents that meet all matchers, and print the silence's id.

    \b
    healthd silence add check=shop/web --for 2h --reason "new certificate"
    healthd silence add system=shop 'severity=~SEV[34]' --until 2026-03-30T06:00Z --reason "moving house"
    healthd silence add system=shop 'team!=payments' --for 1d --reason "known, ticket 1234"

    A matcher names system, check, severity, level, playbook, incident or a label of the check. = and != take globs,
    =~ and !~ regular expressions for the whole value. A word alone is a check.
    """
    if duration and until:
        raise Refused("--for and --until both say when it ends: give one of them")
    made = post(
        "/silences",
        {
            "matchers": list(matchers),
            "reason": reason,
            "actor": actor,
            **given(
                starts_at=moment(start, "--from"),
                ends_at=moment(until, "--until"),
                duration=length(duration, "--for") or ("" if until else "1h"),
            ),
        },
        url,
    ).json()
    if output == "json":
        print_json(made)
        return 0
    click.echo(made["id"])
    about = f"{len(made['incidents'])} open now" if made["incidents"] else "none open now"
    click.echo(f"until {local(made['ends_at'])}; incidents it is about: {about}", err=True)
    return 0


@silence.command("list")
@click.option("--expired", is_flag=True, help="Those that are over instead.")
@url_option
@format_option
def list_(expired: bool, url: str, output: str) -> int:
    """The silences in effect and to come."""
    found = every("/silences", {"state": "expired"} if expired else {}, url)
    if output == "json":
        print_json(found)
        return 0
    if not found:
        click.echo("no silence is over" if expired else "nothing is silenced")
        return 0
    rows = [
        (
            plain(s["id"]),
            s["state"],
            plain(" ".join(f"{m['name']}{m['op']}{m['value']}" for m in s["matchers"])),
            local(s["ends_at"]),
            plain(s["author"]),
            plain(s["reason"]),
        )
        for s in found
    ]
    print_table(("ID", "STATE", "MATCHERS", "UNTIL", "BY", "REASON"), rows)
    return 0


@silence.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@by_option
@url_option
def expire(ids: tuple[str, ...], actor: str, url: str) -> int:
    """End silences now. What is still open is told."""
    for silence_id in ids:
        post(f"/silences/{part(silence_id, 'silence')}/end", {"actor": actor}, url)
        click.echo(f"{silence_id}: over")
    return 0
