"""`healthd coverage`: what the runbooks document against what takes care of it."""

from __future__ import annotations

from difflib import get_close_matches

import click

from healthd.cli.common import (
    Refused,
    catalogue_or_refuse,
    checks_option,
    plain,
    print_json,
    print_table,
    settings_or_refuse,
)
from healthd.coverage import Coverage, CoveredItem, DocumentCoverage, State
from healthd.coverage import coverage as compute
from healthd.coverage.render import as_html, as_json, as_markdown, dangling_line, summary

_STYLES = {State.COVERED: "green", State.OFF: "dim", State.DIFFERS: "red", State.UNCOVERED: "red"}


@click.command(short_help="What the runbook documents, and what takes care of it.")
@click.argument("systems", nargs=-1)
@click.option("--uncovered", is_flag=True, help="Only what is not covered as documented.")
@click.option(
    "--format", "output", type=click.Choice(["table", "json", "md", "html"]), default="table",
    help="For people, programs, a repository or a browser.",
)  # fmt: skip
@checks_option
def coverage(systems: tuple[str, ...], uncovered: bool, output: str, folders: tuple[str, ...]) -> int:
    """Documented items against what covers them, by document and heading (default: of all systems).

    \b
    covered    a check, report, attestation, playbook step or policy takes care of it, as documented
    off        it is covered, but switched off in this installation
    differs    a documented limit or time and the configured one differ
    uncovered  nothing of the kind that should does

    Exit code 1 when an item differs or is uncovered, or when something covers an item that does not exist.
    """
    catalogue = catalogue_or_refuse(settings_or_refuse(), folders)
    for name in systems:
        if name not in catalogue.systems:
            near = get_close_matches(name, catalogue.systems, n=1) or list(catalogue.systems)
            raise Refused(f"no system {name!r}; did you mean {' or '.join(near)}?")
    whole = compute(catalogue, systems)
    shown = _only_wrong(whole) if uncovered else whole
    match output:
        case "json":
            print_json(as_json(shown))
        case "md":
            click.echo(as_markdown(shown))
        case "html":
            click.echo(as_html(shown))
        case _:
            _print(shown, whole)
    return 0 if whole.is_complete else 1


def _only_wrong(whole: Coverage) -> Coverage:
    kept = (
        DocumentCoverage(d.system, d.document, tuple(item for item in d.items if item.state.is_wrong))
        for d in whole.documents
    )
    return Coverage(tuple(d for d in kept if d.items), whole.dangling, whole.unindexed)


def _print(shown: Coverage, whole: Coverage) -> None:
    for part in shown.documents:
        for heading, items in part.by_heading():
            rows = [_row(item) for item in items]
            print_table(("STATE", "ITEM", "DOCUMENTED", "COVERED BY"), rows, plain(f"{part.document.name}: {heading}"))
            click.echo()
    for name in shown.unindexed:
        click.echo(f"{name}: no runbook section")
    for dangling in shown.dangling:
        click.echo(dangling_line(dangling), err=True)
    click.echo(summary(whole))


def _row(covered: CoveredItem) -> tuple[str, ...]:
    item, style = covered.item, _STYLES[covered.state]
    documented = item.title + (f" ({item.expect})" if item.expect else "")
    by = [plain(str(cover)) for cover in covered.covers]
    by += [f"[red]{plain(problem)}[/]" for problem in covered.problems]
    by += [f"[dim]decided: {plain(reason)}[/]" for reason in covered.decisions]
    return f"[{style}]{covered.state}[/]", plain(item.id), plain(documented), "\n".join(by)
