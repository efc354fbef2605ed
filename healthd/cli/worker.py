"""`healthd worker`."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import click

from healthd.cli.common import Refused, settings_or_refuse

if TYPE_CHECKING:
    from healthd.settings import Settings
    from healthd.workers.worker import Worker


@click.command(short_help="Look from one location, for a daemon elsewhere.")
@click.option("--location", required=True, help="Where it runs: makes the looks of checks with this `location:`.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=50, show_default=True, help="Looks at once, of all types."
)
@click.option("--checks", multiple=True, metavar="FOLDER", help="Catalogue folder (HEALTHD_CHECKS).")
@click.option("--database-url", help="The daemon's PostgreSQL: postgresql://... (HEALTHD_DATABASE_URL).")
@click.option("--host", help="Address of the health port (HEALTHD_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Health port (HEALTHD_PORT); without one there is none.")
@click.option("--log-format", type=click.Choice(["auto", "json", "pretty"]), help="(HEALTHD_LOG_FORMAT)")
def worker(
    *,
    location: str,
    concurrency: int,
    checks: tuple[str, ...],
    database_url: str,
    host: str,
    port: int,
    log_format: str,
) -> int:
    """Look from here, for a daemon elsewhere: checks with this `location:` are looked at by its workers.

    It needs the daemon's PostgreSQL and the same catalogue, and of the catalogue's variables those of its own checks.
    What is seen is judged, recorded and told by the daemon. Reload the catalogue with SIGHUP or by changing its files.
    SIGTERM finishes what is under way and exits.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    _location_or_refuse(location)
    settings = settings_or_refuse(
        checks=checks or None, database_url=database_url, host=host, port=port, log_format=log_format
    )
    from healthd.workers.terms import obstacle

    if problem := obstacle(settings):
        raise Refused(problem)
    from healthd.logs import configure

    configure(settings.log_format, settings.log_level)
    asyncio.run(_work(settings, location, concurrency))
    sys.stderr.flush()
    return 0


def _location_or_refuse(location: str) -> None:
    from healthd.catalogue.fields import read_location
    from healthd.catalogue.problems import RefusedError
    from healthd.catalogue.shapes import AT_DAEMON

    if not location:
        raise Refused("--location: an empty name is none; it is written as in the catalogue, such as eu-west")
    try:
        read_location(location)
    except RefusedError as refusal:
        raise Refused(f"--location: {refusal}; {refusal.hint}") from None
    if location == AT_DAEMON:
        raise Refused(f"--location: {AT_DAEMON!r} stands for the daemon itself: its checks need no worker")


async def _work(settings: Settings, location: str, concurrency: int) -> None:
    import logging

    from healthd.catalogue import CatalogueError
    from healthd.store.base import StoreError
    from healthd.workers.pulse import Pulse
    from healthd.workers.worker import Worker

    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # the worker says what happened, in its own words
    try:
        made = Worker(settings, location, concurrency)
        made.read_catalogue()
    except CatalogueError as error:
        raise Refused("\n".join(str(problem) for problem in error.problems)) from None
    except StoreError as error:
        raise Refused(f"HEALTHD_DATABASE_URL: {error.reason}") from None
    _heed_signals(made)
    pulse = Pulse(lambda: made.unready)
    if "port" in settings.model_fields_set:
        try:
            await pulse.start(settings.host, settings.port)
        except OSError as error:
            raise Refused(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    try:
        await made.run()
    finally:
        await pulse.stop()


def _heed_signals(made: Worker) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, made.stop)
    loop.add_signal_handler(signal.SIGHUP, made.ask_to_reload)
