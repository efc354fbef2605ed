"""Commands that ask a running daemon through its API."""

from __future__ import annotations

import click
import httpx

from healthd.cli.common import Refused, settings_or_refuse


@click.command()
@click.argument("incident_id")
@click.option("--note", default="", help="What you are doing about it.")
@click.option("--by", "actor", envvar="USER", default="cli", help="Who (default: $USER).")
@click.option("--url", help="The daemon's address (default: http://HEALTHD_HOST:HEALTHD_PORT).")
def ack(incident_id: str, note: str, actor: str, url: str) -> int:
    """Acknowledge an open incident, through the daemon's API (HEALTHD_TOKEN)."""
    settings = settings_or_refuse()
    base = (url or f"http://{settings.host}:{settings.port}").rstrip("/")
    headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"} if settings.token else {}
    try:
        answer = httpx.post(
            f"{base}/api/v1/incidents/{incident_id}/acknowledge",
            json={"actor": actor, "note": note},
            headers=headers,
            timeout=10,
        )
    except httpx.HTTPError as error:
        raise Refused(f"no answer from {base}: {type(error).__name__}; is `healthd run` running?") from None
    if answer.is_success:
        click.echo(f"{incident_id}: acknowledged by {actor}")
        return 0
    raise Refused(f"{incident_id}: {_reason(answer)}")


def _reason(answer: httpx.Response) -> str:
    """What the daemon says is wrong, and what would help."""
    try:
        said = answer.json()
        return "; ".join(str(said[key]) for key in ("error", "hint") if said.get(key))
    except (ValueError, KeyError, AttributeError):
        return f"the daemon answered {answer.status_code}"
