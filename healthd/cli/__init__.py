"""The commands. Exit codes as monitoring plugins have them: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or usage."""

from __future__ import annotations

import errno
import gc
import importlib
import sys

import click

from healthd import __version__
from healthd.cli.pipes import outlive_readers

# name -> where the command is; imported when used, so that --help is instant
COMMANDS = {
    "run": "daemon:run",
    "worker": "worker:worker",
    "alive": "alive:alive",
    "validate": "catalogue:validate",
    "list": "catalogue:list_",
    "schema": "catalogue:schema",
    "next": "schedule:next_",
    "coverage": "coverage:coverage",
    "permissions": "permissions:permissions",
    "check": "checks:check",
    "evaluate": "checks:evaluate",
    "diagnose": "diagnose:diagnose",
    "incidents": "incidents:incidents",
    "incident": "incidents:incident",
    "ack": "remote:ack",
    "postmortem": "incidents:postmortem",
    "report": "reports:report",
    "attest": "attestations:attest",
    "silence": "silences:silence",
    "window": "windows:window",
    "notify-test": "notify:notify_test",
    "route-test": "routes:route_test",
    "sandbox": "sandbox:sandbox",
}
USAGE = 3


class _Commands(click.Group):
    """Commands imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        gc.disable()  # what is imported stays: looking through it for garbage is a tenth of every start
        try:
            found = getattr(importlib.import_module(f"healthd.cli.{module}"), name)
        finally:
            gc.freeze()
            gc.enable()
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(error.message + hint, ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="healthd")
def cli() -> None:
    """Turns an operations runbook into a running service.

    Every documented check becomes a scheduled job; its result is judged by the documented thresholds; what is wrong
    becomes an incident that reaches Slack, PagerDuty or a webhook.

    \b
    Start with:  healthd validate checks      is the catalogue right?
                 healthd check shop/website   run one check now
                 healthd run                  the daemon

    Settings come from HEALTHD_* variables. Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or wrong usage.
    """


def main() -> None:
    """The console script."""
    outlive_readers()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = USAGE
    except Exception as error:  # noqa: BLE001 - a mistake of ours is no WARNING, which Python's own 1 would say
        code = USAGE
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            print(f"standard output: {error.strerror}", file=sys.stderr)
            sys.stdout = None  # Python would try to write the rest at the end
        else:
            sys.excepthook(type(error), error, error.__traceback__)
    sys.exit(code if isinstance(code, int) else 0)
