"""`healthd run`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from healthd.cli.common import Refused, channels_or_refuse, settings_or_refuse

if TYPE_CHECKING:
    from healthd.settings import Settings


@click.command()
@click.option("--checks", multiple=True, metavar="FOLDER", help="Catalogue folder (HEALTHD_CHECKS).")
@click.option("--host", help="Address to listen on (HEALTHD_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, 0 for any free one (HEALTHD_PORT).")
@click.option("--database-url", help="sqlite:///path or postgresql://... (HEALTHD_DATABASE_URL).")
@click.option("--log-format", type=click.Choice(["auto", "json", "pretty"]), help="(HEALTHD_LOG_FORMAT)")
def run(checks: tuple[str, ...], host: str, port: int, database_url: str, log_format: str) -> int:
    """Run the daemon: schedule, probe, evaluate, record, tell.

    Reload the catalogue with SIGHUP, POST /-/reload, or by changing its files. SIGTERM finishes what runs and exits.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    settings = settings_or_refuse(
        checks=checks or None, host=host, port=port, database_url=database_url, log_format=log_format
    )
    channels_or_refuse(settings)
    _types_or_refuse(settings)
    from healthd.logs import configure

    configure(settings.log_format, settings.log_level)
    code, stuck, deposed = asyncio.run(_serve(settings))
    if deposed:  # from the beginning, with nothing left of what it thought it knew
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "healthd", *sys.argv[1:]])  # noqa: S606 - ourselves
    if stuck:  # Python would wait for its threads
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _types_or_refuse(settings: Settings) -> None:
    from difflib import get_close_matches

    from healthd.probes import PROBES

    for name in settings.concurrency:
        if name not in PROBES:
            near = get_close_matches(name, PROBES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Refused(f"settings:\n  HEALTHD_CONCURRENCY: no probe type {name!r}{hint}")


async def _serve(settings: Settings) -> tuple[int, bool, bool]:
    """The exit code; whether a thread hangs that nobody should wait for; whether another replica took the lead."""
    import structlog

    from healthd.app import App
    from healthd.catalogue import CatalogueError
    from healthd.store.base import StoreError
    from healthd.web.server import Server

    log = structlog.get_logger("healthd")
    try:
        app = App(settings)
        app.heed_signals()
        app.read_catalogue()
    except CatalogueError as error:
        raise Refused("\n".join(str(problem) for problem in error.problems)) from None
    except StoreError as error:
        raise Refused(f"HEALTHD_DATABASE_URL: {error.reason}") from None
    server = Server(app, settings.host, settings.port)
    try:
        await server.start()
    except OSError as error:
        raise Refused(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    log.info("listening", address=f"{'https' if settings.tls_cert else 'http'}://{settings.host}:{server.port}")
    starting, told_to_stop = asyncio.ensure_future(app.start()), asyncio.ensure_future(app.wait())
    code = 0
    try:
        await asyncio.wait((starting, told_to_stop), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await told_to_stop
    except StoreError as error:
        log.error("store_unusable", reason=error.reason)
        code = 3
    finally:
        for task in (starting, told_to_stop):
            task.cancel()
        await app.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.stop(), 3)
        sys.stdout.flush()
    return code, app.hangs, app.deposed
