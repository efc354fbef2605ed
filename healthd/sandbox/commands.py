"""`healthd sandbox ...`: try healthd against an emulated production on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from healthd.sandbox.child import SandboxError
from healthd.sandbox.state import folder_of
from healthd.sandbox.world import DEFAULT, WORLDS

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the sandbox keeps its state and logs.  [default: .sandbox, or .sandbox-SYSTEM]",
)
_system = click.option("--system", type=click.Choice(list(WORLDS)), help="Which, where several run.")


class _SandboxGroup(click.Group):
    """What the sandbox refuses is told in one line; `sandbox SYSTEM` is short for `sandbox start SYSTEM`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["start", *args] if args and args[0] in WORLDS else args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SandboxError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_SandboxGroup, short_help="Try healthd against an emulated production.")
def sandbox() -> None:
    """Try healthd against an emulated production on this machine: break it, watch, mend it."""


@sandbox.command(short_help="Start one, with healthd watching it; until Ctrl-C.")
@click.argument("system", default=DEFAULT)
@_folder
@click.option("--port", type=click.IntRange(1, 65535), help="Port of healthd's page.  [default: 9780, or a free one]")
@click.option("--daemon/--no-daemon", default=True, help="Also run healthd, or print the settings for your own.")
@click.option(
    "--checks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("checks"),
    show_default=True,
    help="Folder that holds the catalogues, one folder each.",
)
def start(system: str, folder: Path | None, port: int | None, daemon: bool, checks: Path) -> int:
    """Start the one of SYSTEM, with healthd watching it; runs until Ctrl-C."""
    from healthd.sandbox.session import Plan
    from healthd.sandbox.session import start as run
    from healthd.sandbox.world import world_class

    world = world_class(system)
    return run(Plan(world, folder or folder_of(system), checks, port, daemon), click.echo)


@sandbox.command(name="break")
@click.argument("fault")
@_system
@_folder
def break_(fault: str, system: str | None, folder: Path | None) -> None:
    """Break something: see `list` for what."""
    from healthd.sandbox.remote import find

    told = find(folder, system).break_(fault)
    click.echo(f"Broken: {fault} ({told['breaks']}).")
    click.echo(_notice(told["noticed_by"], told["after"]))


@sandbox.command()
@click.argument("fault", default="all")
@_system
@_folder
def mend(fault: str, system: str | None, folder: Path | None) -> None:
    """Mend FAULT, or everything that is broken."""
    from healthd.sandbox.remote import find

    told = find(folder, system).mend(fault)
    click.echo(f"Mended: {', '.join(told['mended']) or 'nothing was broken'}.")
    if told["broken"]:
        click.echo(f"Still broken: {', '.join(told['broken'])}.")


@sandbox.command()
@_system
@_folder
def status(system: str | None, folder: Path | None) -> None:
    """What runs, where, and what is broken."""
    from healthd.sandbox.remote import find

    told = find(folder, system).status()
    click.echo(f"Sandbox of {told['system']}, process {told['pid']}, healthd's page {told['page_url']}")
    width = max(map(len, told["parts"]))
    for name, state in told["parts"].items():
        click.echo(f"  {name:{width}}  {state}")
    click.echo(f"Broken: {', '.join(told['broken']) or 'nothing'}")


@sandbox.command(name="list", short_help="What can be broken, and what should notice it.")
@click.argument("system", required=False)
@_folder
def list_(system: str | None, folder: Path | None) -> None:
    """What can be broken, what should notice it, and how soon; of SYSTEM, or of the one that runs."""
    from healthd.sandbox.remote import running_one
    from healthd.sandbox.world import check_id, world_class

    told = running_one(folder, system)
    world = world_class(system or (told["system"] if told else DEFAULT))
    broken = told["broken"] if told and told["system"] == world.name else []
    width = max(map(len, world.faults))
    for fault in world.faults.values():
        click.echo(f"{fault.name:{width}}  {fault.breaks}{'  [broken now]' if fault.name in broken else ''}")
        noticed = [check_id(world, check) for check in fault.noticed_by]
        click.echo(f"{'':{width}}  {_notice(noticed, fault.after)}")


@sandbox.command()
@_system
@_folder
def stop(system: str | None, folder: Path | None) -> None:
    """End a sandbox that runs in another terminal."""
    from healthd.sandbox.remote import find

    pid = find(folder, system).stop()
    click.echo(f"Told process {pid} to stop.")


@sandbox.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sandbox-inbox"),
    show_default=True,
    help="Where it writes the settings for a daemon, as shell exports.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Of its page.  [default: a free one]")
def inbox(folder: Path, port: int | None) -> int:
    """Run only the inbox, which stands for Slack, PagerDuty and a webhook, for a daemon of your own; until Ctrl-C."""
    from healthd.sandbox.session import start_inbox

    return start_inbox(folder, port, click.echo)


def _notice(checks: Sequence[str], after: str) -> str:
    if not checks:
        return "No check notices it yet."
    return f"Noticed by {', '.join(checks)} within about {after}."
