"""`healthd notify-test CHANNEL`: try a channel, or a template of its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from healthd.cli.common import Refused, catalogue_or_refuse, channels_or_refuse, checks_option, settings_or_refuse
from healthd.cli.remote import get, part, url_option
from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import Message
from healthd.settings import Settings


@click.command("notify-test", short_help="Send a test message; without a channel: list the channels.")
@click.argument("channel", required=False)
@click.option("--all", "every", is_flag=True, help="All configured channels.")
@click.option("--template", metavar="FILE", help="Try this template: its first line is the title, the rest the text.")
@click.option("--incident", metavar="ID", help="With what is known of this incident, from a running daemon.")
@click.option("--dry-run", is_flag=True, help="Print the message, send nothing.")
@checks_option
@url_option
def notify_test(
    *,
    channel: str | None,
    every: bool,
    template: str | None,
    incident: str | None,
    dry_run: bool,
    folders: tuple[str, ...],
    url: str | None,
) -> int:
    """Send a clearly marked test message and say whether it was accepted. Without CHANNEL: list the channels.

    \b
    healthd notify-test slack
    healthd notify-test slack --template message.j2 --dry-run
    healthd notify-test slack --template message.j2 --incident INC-20260102-150405-abc123

    Exit code 2 when it was not accepted, or the template fails.
    """
    from healthd.loading import secrets_of
    from healthd.model.redact import Redactor
    from healthd.notify.options import unreadable

    settings = settings_or_refuse()
    catalogue = catalogue_or_refuse(settings, folders)
    specs = {**channels_or_refuse(settings), **catalogue.channels}
    chosen = _chosen(specs, channel, every)
    if not chosen and (template or incident or dry_run):
        raise Refused(f"which channel? There are {', '.join(specs)}; --all stands for all of them")
    if not chosen:
        for name, spec in specs.items():
            click.echo(f"{name}: {spec.type}")
        return 0
    if template and (problem := unreadable(template)):
        raise Refused(problem)
    redact = Redactor({*secrets_of(settings), *catalogue.secrets})
    now = datetime.now(UTC)
    body = _body(settings, incident, url, now) if template or incident or dry_run else None
    worst = 0
    for name in chosen:
        try:
            message = _message(specs[name], template, body, now=now, settings=settings, redact=redact)
        except ValueError as error:
            click.echo(f"{name}: the template fails: {redact(str(error))}", err=True)
            worst = 2
            continue
        worst = max(worst, _show(message) if dry_run else _try(specs[name], message, redact))
    return worst


def _chosen(specs: Mapping[str, ChannelSpec], channel: str | None, every: bool) -> list[str]:
    """The channels asked for; none for the list of them."""
    if not specs:
        raise Refused(
            "no channel is configured: set HEALTHD_SLACK_WEBHOOK_URL, HEALTHD_PAGERDUTY_ROUTING_KEY or "
            "HEALTHD_WEBHOOK_URL, or write a `channels:` section"
        )
    if channel is not None and channel not in specs:
        raise Refused(f"no channel {channel!r}; there are {', '.join(specs)}")
    return list(specs) if every else [channel] if channel else []


def _body(settings: Settings, incident: str | None, url: str | None, now: datetime) -> Mapping[str, Any]:
    """What was last told of an incident, or an example."""
    from healthd.notify.sample import sample_body

    if incident is None:
        return sample_body(now, settings.public_url)
    found: Mapping[str, Any] = get(f"/incidents/{part(incident, 'incident')}/message", url=url).json()
    return found


def _message(
    spec: ChannelSpec,
    template: str | None,
    body: Mapping[str, Any] | None,
    *,
    now: datetime,
    settings: Settings,
    redact: Callable[[str], str],
) -> Message:
    """The test message, or what the template (the channel's own by default) makes of `body`. Raises ValueError."""
    from healthd.notify import compose_test
    from healthd.notify.options import Templates
    from healthd.notify.sample import as_test
    from healthd.notify.templates import TemplateProblem, fill

    if body is None:
        return compose_test(spec.name, now, settings.public_url)
    own = getattr(spec.options, "templates", None)
    templates = Templates(file=template) if template else own
    try:
        filled = fill(templates or Templates(title="{{ headline }}"), body)
    except TemplateProblem as problem:
        raise ValueError(problem.reason) from None
    return as_test(spec.name, now, body, (filled.title, filled.text), redact)


def _show(message: Message) -> int:
    custom = message.body["custom"]
    click.echo(f"{message.channel}: {custom['title'].removeprefix('[Test] ')}\n\n{custom['text']}")
    return 0


def _try(spec: ChannelSpec, message: Message, redact: Callable[[str], str]) -> int:
    from healthd.model.incidents import ChannelError

    try:
        asyncio.run(_send(spec, message))
    except ChannelError as error:
        click.echo(f"{spec.name}: not accepted: {redact(error.reason)}", err=True)
        return 2
    click.echo(f"{spec.name}: accepted")
    return 0


async def _send(spec: ChannelSpec, message: Message) -> None:
    from healthd.notify import build_channel

    channel = build_channel(spec)
    try:
        await channel.send(message)
    finally:
        await channel.close()
