"""`healthd notify-test CHANNEL`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click

from healthd.cli.common import Refused, catalogue_or_refuse, channels_or_refuse, checks_option, settings_or_refuse
from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import Message


@click.command("notify-test")
@click.argument("channel", required=False)
@click.option("--all", "every", is_flag=True, help="All configured channels.")
@checks_option
def notify_test(channel: str | None, every: bool, folders: tuple[str, ...]) -> int:
    """Send a clearly marked test message and say whether it was accepted. Without CHANNEL: list the channels."""
    from healthd.loading import secrets_of
    from healthd.model.incidents import ChannelError
    from healthd.model.redact import Redactor
    from healthd.notify import compose_test

    settings = settings_or_refuse()
    catalogue = catalogue_or_refuse(settings, folders)
    specs = {**channels_or_refuse(settings), **catalogue.channels}
    if not specs:
        raise Refused(
            "no channel is configured: set HEALTHD_SLACK_WEBHOOK_URL, HEALTHD_PAGERDUTY_ROUTING_KEY or "
            "HEALTHD_WEBHOOK_URL, or write a `channels:` section"
        )
    if channel is None and not every:
        for name, spec in specs.items():
            click.echo(f"{name}: {spec.type}")
        return 0
    if channel is not None and channel not in specs:
        raise Refused(f"no channel {channel!r}; there are {', '.join(specs)}")
    redact = Redactor({*secrets_of(settings), *catalogue.secrets})
    failed = 0
    for name in specs if every or channel is None else [channel]:
        message = compose_test(name, datetime.now(UTC), settings.public_url)
        try:
            asyncio.run(_send(specs[name], message))
            click.echo(f"{name}: accepted")
        except ChannelError as error:
            click.echo(f"{name}: not accepted: {redact(error.reason)}", err=True)
            failed += 1
    return 2 if failed else 0


async def _send(spec: ChannelSpec, message: Message) -> None:
    from healthd.notify import build_channel

    channel = build_channel(spec)
    try:
        await channel.send(message)
    finally:
        await channel.close()
