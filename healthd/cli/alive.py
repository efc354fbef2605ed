"""`healthd alive`: whether the daemon on this machine answers; for health checks of containers."""

from __future__ import annotations

import os
import ssl
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError

import click

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - where it listens, not we
MAX_REASONS = 2_000  # characters


@click.command(short_help="Whether the daemon on this machine answers.")
@click.option("--ready", is_flag=True, help="Ask /readyz instead of /healthz: able to run checks?")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=3.0, show_default=True, help="Seconds.")
def alive(ready: bool, timeout: float) -> int:
    """Exit 0 when the daemon answers on HEALTHD_PORT of this machine, 2 when it does not."""
    # read directly: a health check that runs every few seconds does not load everything the settings need
    port = os.environ.get("HEALTHD_PORT", "9780")
    host = os.environ.get("HEALTHD_HOST", "")
    host = "127.0.0.1" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    tls = bool(os.environ.get("HEALTHD_TLS_CERT"))
    url = f"{'https' if tls else 'http'}://{host}:{port}/{'readyz' if ready else 'healthz'}"
    try:
        with _opener(tls).open(url, timeout=timeout) as answer:
            click.echo(f"{url} answers {answer.status}")
            return 0
    except HTTPError as error:
        said = " ".join(error.read(MAX_REASONS).decode("utf-8", "replace").split())
        click.echo(f"{url} answers {error.code}: {said}", err=True)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        click.echo(f"{url}: {getattr(reason, 'strerror', None) or reason}", err=True)
    return 2


def _opener(tls: bool) -> urllib.request.OpenerDirector:
    """Past any proxy of the environment: it asks this machine."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if tls:  # its certificate is for the name that others call it by
        context = ssl._create_unverified_context()  # noqa: S323 - of this machine, by its port
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)
