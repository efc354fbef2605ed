"""`healthd report`: the report of a checklist, from a running daemon."""

from __future__ import annotations

import json
from typing import Any

import click
import httpx

from healthd.cli.common import Refused, shown
from healthd.cli.remote import get, url_option


@click.command(short_help="Print the newest report of a checklist.")
@click.argument("system")
@click.argument("cadence")
@click.option("--format", "output", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("--now", "preview", is_flag=True, help="As it would be now, from the newest outcomes.")
@url_option
def report(system: str, cadence: str, output: str, preview: bool, url: str | None) -> int:
    """Print the newest report of SYSTEM's CADENCE, as the daemon made it.

    The exit code says how it stands: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or not run.
    """
    wanted = {"system": system, "cadence": cadence}
    if preview:
        found = get("/reports/preview", wanted, url)
        path, asked = "/reports/preview", wanted
    else:
        entries = get("/reports", {**wanted, "limit": "1"}, url).json()["reports"]
        if not entries:
            get("/reports/preview", wanted, url)  # refused with the nearest when there is nothing of that name
            raise Refused(f"no report of {system} {cadence} yet; see `healthd next`, or add --now")
        path, asked = f"/reports/{entries[0]['id']}", {}
        found = get(path, asked, url)
    data = found.json()
    click.echo(shown(_text(data, path, asked, url)) if output == "markdown" else json.dumps(data, indent=2))
    return {"ok": 0, "warning": 1, "critical": 2}.get(str(data["level"]), 3)


def _text(data: dict[str, Any], path: str, asked: dict[str, str], url: str | None) -> str:
    answer: httpx.Response = get(path, {**asked, "format": "markdown"}, url)
    return answer.text.rstrip()
