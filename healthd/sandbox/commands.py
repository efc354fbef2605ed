"""`healthd sandbox ...`: try healthd against an emulated production on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from healthd.sandbox.child import SandboxError
from healthd.sandbox.state import DEFAULT_FOLDER

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Where the sandbox keeps its state and logs.",
)


class _SandboxGroup(click.Group):
    """What the sandbox refuses is told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SandboxError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_SandboxGroup)
def sandbox() -> None:
    """Try healthd against an emulated production on this machine: break it, watch, mend it."""


@sandbox.command()
@_folder
@click.option("--port", type=click.IntRange(1, 65535), help="Port of healthd's page.  [default: 9780, or a free one]")
@click.option("--daemon/--no-daemon", default=True, help="Also run healthd, or print the settings for your own.")
@click.option(
    "--checks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("checks"),
    show_default=True,
    help="Folder that holds the catalogues host and syncwatch.",
)
def start(folder: Path, port: int | None, daemon: bool, checks: Path) -> int:
    """Start it, with healthd watching it; runs until Ctrl-C."""
    from healthd.sandbox.session import Plan
    from healthd.sandbox.session import start as run

    return run(Plan(folder, checks, port, daemon), click.echo)


@sandbox.command(name="break")
@click.argument("fault")
@_folder
def break_(fault: str, folder: Path) -> None:
    """Break something: see `list` for what."""
    from healthd.sandbox.remote import Remote

    told = Remote(folder).break_(fault)
    click.echo(f"Broken: {fault} ({told['breaks']}).")
    click.echo(_notice(told["noticed_by"], told["after"]))


@sandbox.command()
@click.argument("fault", default="all")
@_folder
def mend(fault: str, folder: Path) -> None:
    """Mend FAULT, or everything that is broken."""
    from healthd.sandbox.remote import Remote

    told = Remote(folder).mend(fault)
    click.echo(f"Mended: {', '.join(told['mended']) or 'nothing was broken'}.")
    if told["broken"]:
        click.echo(f"Still broken: {', '.join(told['broken'])}.")


@sandbox.command()
@_folder
def status(folder: Path) -> None:
    """What runs, where, and what is broken."""
    from healthd.sandbox.remote import Remote

    told = Remote(folder).status()
    click.echo(f"Sandbox of process {told['pid']}, healthd's page {told['page_url']}")
    for name, state in told["parts"].items():
        click.echo(f"  {name:12} {state}")
    click.echo(f"Broken: {', '.join(told['broken']) or 'nothing'}")


@sandbox.command(name="list")
@_folder
def list_(folder: Path) -> None:
    """What can be broken, what should notice it, and how soon."""
    from healthd.sandbox.faults import FAULTS
    from healthd.sandbox.remote import running

    told = running(folder)
    broken = told["broken"] if told else []
    for fault in FAULTS.values():
        click.echo(f"{fault.name:22} {fault.breaks}{'  [broken now]' if fault.name in broken else ''}")
        click.echo(f"{'':22} {_notice(fault.noticed_by, fault.after)}")


@sandbox.command()
@_folder
def stop(folder: Path) -> None:
    """End a sandbox that runs in another terminal."""
    from healthd.sandbox.remote import Remote

    pid = Remote(folder).stop()
    click.echo(f"Told process {pid} to stop.")


def _notice(checks: Sequence[str], after: str) -> str:
    if not checks:
        return "No check notices it yet."
    return f"Noticed by {', '.join(f'syncwatch/{check}' for check in checks)} within about {after}."
