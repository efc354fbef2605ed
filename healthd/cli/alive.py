"""`healthd alive`: whether the daemon on this machine answers; for health checks of containers."""

from __future__ import annotations

import os
import ssl
import urllib.request

import click


@click.command()
@click.option("--ready", is_flag=True, help="Ask /readyz instead of /healthz: able to run checks?")
@click.option("--timeout", default=3.0, show_default=True, help="Seconds.")
def alive(ready: bool, timeout: float) -> int:
    """Exit 0 when the daemon answers on HEALTHD_PORT of this machine, 2 when it does not."""
    # read directly: a health check that runs every few seconds does not load everything the settings need
    port = os.environ.get("HEALTHD_PORT", "9780")
    tls = bool(os.environ.get("HEALTHD_TLS_CERT"))
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/{'readyz' if ready else 'healthz'}"
    # its certificate is for the name that others call it by
    context = ssl._create_unverified_context() if tls else None  # noqa: S323 - of this machine, by its port
    try:
        with urllib.request.urlopen(url, timeout=timeout, context=context) as answer:  # noqa: S310 - our own port
            click.echo(f"{url} answers {answer.status}")
            return 0
    except (OSError, ValueError) as error:
        click.echo(f"{url}: {error}", err=True)
        return 2
