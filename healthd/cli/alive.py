"""`healthd alive`: whether the daemon on this machine answers; for health checks of containers."""

from __future__ import annotations

import os
import urllib.request

import click


@click.command()
@click.option("--ready", is_flag=True, help="Ask /readyz instead of /healthz: able to run checks?")
@click.option("--timeout", default=3.0, show_default=True, help="Seconds.")
def alive(ready: bool, timeout: float) -> int:
    """Exit 0 when the daemon answers on HEALTHD_PORT of this machine, 2 when it does not."""
    # read directly: a health check that runs every few seconds does not load everything the settings need
    port = os.environ.get("HEALTHD_PORT", "9780")
    url = f"http://127.0.0.1:{port}/{'readyz' if ready else 'healthz'}"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            click.echo(f"{url} answers {answer.status}")
            return 0
    except (OSError, ValueError) as error:
        click.echo(f"{url}: {error}", err=True)
        return 2
