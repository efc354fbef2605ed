"""`healthd diagnose`: what a playbook's steps find now, without a daemon and without an incident."""

from __future__ import annotations

from difflib import get_close_matches
from time import perf_counter

import click

from healthd.cli.checks import look_now
from healthd.cli.common import (
    Refused,
    catalogue_or_refuse,
    checks_option,
    format_option,
    print_json,
    settings_or_refuse,
    shown,
)
from healthd.cli.incidents import diagnosis_lines
from healthd.model.catalogue import Catalogue, Playbook
from healthd.model.outcomes import Level
from healthd.model.redact import Redactor


@click.command(short_help="Look now through what a playbook has healthd look at.")
@click.argument("name", metavar="SYSTEM/PLAYBOOK")
@checks_option
@format_option
def diagnose(name: str, folders: tuple[str, ...], output: str) -> int:
    """Look now through what a playbook has healthd look at when an incident opens, and print what that finds.

    A check's id stands for its playbook. The exit code is the level of the likely cause, 0 without any finding.
    """
    from datetime import UTC, datetime

    from healthd.incidents.diagnosis import diagnosis, seen
    from healthd.loading import secrets_of
    from healthd.logs import configure
    from healthd.notify.compose import clean

    settings = settings_or_refuse()
    configure("pretty", "error")
    catalogue = catalogue_or_refuse(settings, folders)
    playbook = _playbook(catalogue, name)
    known = {check.id: check for check in catalogue.checks.values() if check.enabled}
    looks = [
        (step, step.look or known[step.check]) for step in playbook.diagnostics if step.look or step.check in known
    ]
    if not looks:
        raise Refused(f"{name}: no step of the playbook {playbook.name!r} has a probe or a check to look through")
    redact = Redactor({*secrets_of(settings), *catalogue.secrets})
    checks = list({check.id: check for _, check in looks}.values())
    began = perf_counter()
    outcomes = look_now(catalogue, checks, settings, redact, output == "table")
    by_check = {outcome.check_id: outcome for outcome in outcomes}
    results = [seen(step, by_check[check.id]) for step, check in looks]
    found = clean(diagnosis(results, playbook.severity or "", datetime.now(UTC), perf_counter() - began), redact)
    if output == "json":
        print_json(found)
    else:
        for line in diagnosis_lines(found):
            click.echo(shown(line))
    return int(Level[found["findings"][0]["level"].upper()]) if found["findings"] else 0


def _playbook(catalogue: Catalogue, name: str) -> Playbook:
    """Refused with the nearest name."""
    check = catalogue.checks.get(name)
    system, _, wanted = name.partition("/")
    if check is not None and wanted not in catalogue.systems[check.system].playbooks:
        if check.playbook is None:
            raise Refused(f"the check {name} names no playbook")
        system, wanted = check.system, check.playbook
    found = catalogue.systems.get(system)
    if found is None or wanted not in found.playbooks:
        near = get_close_matches(name, [f"{s.name}/{p}" for s in catalogue.systems.values() for p in s.playbooks])
        raise Refused(f"no playbook {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    return found.playbooks[wanted]
