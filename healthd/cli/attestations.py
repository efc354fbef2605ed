"""`healthd attest`: sign for what a person did, through the daemon's API."""

from __future__ import annotations

from urllib.parse import quote

import click

from healthd.cli.common import Refused, format_option, plain, print_json, print_table
from healthd.cli.remote import by_option, every, post, url_option
from healthd.cli.times import local


@click.command(short_help="Sign for a task; without a name: what is asked for.")
@click.argument("name", required=False)
@click.option("--note", default="", help="What was done or found.")
@click.option("--link", default="", help="To a ticket, a protocol, a recording.")
@click.option("--withdraw", metavar="REASON", help="Take the signature back instead.")
@click.option("--list", "listing", is_flag=True, help="What waits to be signed for (also without NAME).")
@by_option
@url_option
@format_option
def attest(*, name: str, note: str, link: str, withdraw: str, listing: bool, actor: str, url: str, output: str) -> int:
    """Sign for a task: NAME is system/name, the name alone, or the id of what was asked for.

    \b
    healthd attest                                     what is asked for
    healthd attest shop/restore-drill --note "40 min" --link https://wiki.example/drill-12
    healthd attest ATT-20260102-090000-1a2b3c4d --withdraw "it was the wrong database"
    """
    if listing or not name:
        return _list(url, output)
    path = f"/attestations/{quote(name, safe='/')}"
    if withdraw is not None:
        if not name.startswith("ATT-"):
            raise Refused(f"{name}: which one? Give the id of what was signed for (ATT-...): see /attestations")
        said = post(f"{path}/withdraw", {"reason": withdraw, "actor": actor}, url).json()
    else:
        said = post(path, {"actor": actor, "note": note, "link": link}, url).json()
    if output == "json":
        print_json(said)
    elif withdraw is not None:
        click.echo(f"{said['id']}: withdrawn by {actor}; {said['check']} is {said['state']}")
    else:
        click.echo(f"{said['id']}: {said['check']} signed by {said['given_by']}" + (", late" if said["late"] else ""))
    return 0


def _list(url: str, output: str) -> int:
    found = every("/attestations", {"state": "open"}, url)
    if output == "json":
        print_json(found)
        return 0
    if not found:
        click.echo("nothing waits to be signed for")
        return 0
    rows = [
        (plain(a["id"]), plain(a["check"]), a["state"], local(a["due_by"]), plain(a["who"]), plain(a["title"]))
        for a in found
    ]
    print_table(("ID", "TASK", "STATE", "DUE BY", "WHO", "TITLE"), rows)
    return 0
