"""What the commands share: settings, the catalogue, tables for people and JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from healthd.catalogue import CatalogueError
from healthd.loading import builtin, load_catalogue
from healthd.model.catalogue import Catalogue, ChannelSpec, Check
from healthd.model.inert import UNPRINTABLE
from healthd.model.outcomes import Level
from healthd.settings import Settings, SettingsError, load_settings

F = TypeVar("F", bound=Callable[..., Any])
STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "red", Level.UNKNOWN: "magenta"}


class Refused(click.ClickException):
    """Settings, a catalogue or arguments that cannot be used. Exit code 3."""

    exit_code = 3

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


def format_option(function: F) -> F:
    """`--format table|json`."""
    return click.option(
        "--format", "output", type=click.Choice(["table", "json"]), default="table", help="For people or for programs."
    )(function)


def checks_option(function: F) -> F:
    """`--checks FOLDER`, as often as needed; default: the settings'."""
    return click.option(
        "--checks", "folders", multiple=True, metavar="FOLDER", help="Catalogue folder (default: HEALTHD_CHECKS)."
    )(function)


def settings_or_refuse(**overrides: Any) -> Settings:
    """The process settings; Refused names every variable that is wrong."""
    try:
        return load_settings(**overrides)
    except SettingsError as error:
        raise Refused(f"settings:\n{_indented(str(error).splitlines())}") from None


def channels_or_refuse(settings: Settings) -> Mapping[str, ChannelSpec]:
    """The channels the settings configure; Refused names every variable that is wrong."""
    try:
        return builtin(settings)
    except SettingsError as error:
        raise Refused(f"settings:\n{_indented(str(error).splitlines())}") from None


def catalogue_or_refuse(settings: Settings, folders: Sequence[str] = ()) -> Catalogue:
    """The catalogue; Refused lists everything that is wrong with file and line."""
    try:
        return load_catalogue(settings, folders)
    except CatalogueError as error:
        problems = [str(problem) for problem in error.problems]
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise Refused("\n".join(problems) + f"\n\n{count}: the catalogue is not usable") from None


def find_check(catalogue: Catalogue, check_id: str) -> Check:
    """The check of that id; Refused with the nearest one."""
    known = {**catalogue.checks, **catalogue.tasks}
    check = known.get(check_id)
    if check is None:
        named = [c for c in known if c.endswith("/" + check_id)]
        near = named or get_close_matches(check_id, known, n=3)
        raise Refused(f"no check {check_id!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    return check


def known_or_refuse(catalogue: Catalogue, system: str | None, cadence: str | None = None) -> None:
    """Refused, with the nearest, for a system or cadence no check belongs to."""
    everything = (*catalogue.checks.values(), *catalogue.tasks.values())
    cadences = dict.fromkeys(name for check in everything for name in check.cadences)
    for kind, name, known in (("system", system, [*catalogue.systems]), ("cadence", cadence, [*cadences])):
        if name and name not in known:
            near = get_close_matches(name, known, n=1) or known
            raise Refused(f"no {kind} {name!r}" + (f"; there is {', '.join(near)}" if near else ""))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """A table as wide as the terminal; full width when it goes to a file."""
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 200, highlight=False)
    table = Table(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "ID")  # what is copied is in one piece
    for row in rows:
        table.add_row(*row)
    console.print(table)


def coloured(level: Level) -> str:
    """A level's word, in its colour on a terminal."""
    return f"[{STYLES[level]}]{level.name}[/]"


def plain(text: str) -> str:
    """Text as it is in a rich table: brackets are not markup."""
    from rich.markup import escape

    return escape(shown(text))


def shown(text: str) -> str:
    """What production said, for a terminal: nothing in it moves the cursor, colours or turns what stands beside it."""
    return UNPRINTABLE.sub("", text)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
