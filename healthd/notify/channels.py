"""The table of channel types, and building channels from it.

To add one: a module here, a line in CHANNELS, a test module, a section in docs/notifications.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr, ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.times import utc_now
from healthd.notify.alertmanager import Alertmanager
from healthd.notify.apprise import Apprise
from healthd.notify.context import Context
from healthd.notify.dressing import Dressed
from healthd.notify.mail import Email
from healthd.notify.message import Channel
from healthd.notify.options import Options
from healthd.notify.pagerduty import PagerDuty
from healthd.notify.slack import Slack
from healthd.notify.slack_bot import SlackBot
from healthd.notify.teams import Teams
from healthd.notify.webhook import SignedWebhook


@dataclass(frozen=True, slots=True)
class ChannelType:
    """What YAML may say of a channel (unknown keys are errors, secrets are SecretStr), and what makes one of it."""

    Options: type[Options]
    make: Callable[[Any, Context], Channel]  # connects to nothing yet
    notices: bool = True  # whether it carries what is no incident
    updates: bool = True  # whether what is new can be put where the incident was told (edited, or in its thread)
    supersedes: bool = True  # whether news that newer news says as well is left out; programs want all of it


CHANNELS: Mapping[str, ChannelType] = MappingProxyType(
    {
        "alertmanager": ChannelType(Alertmanager.Options, Alertmanager, notices=False),
        "apprise": ChannelType(Apprise.Options, Apprise, updates=False),
        "email": ChannelType(Email.Options, Email, updates=False),
        "pagerduty": ChannelType(PagerDuty.Options, PagerDuty, notices=False),
        "slack": ChannelType(Slack.Options, Slack, updates=False),
        "slack_bot": ChannelType(SlackBot.Options, SlackBot),
        "teams": ChannelType(Teams.Options, Teams, updates=False),
        "webhook": ChannelType(SignedWebhook.Options, SignedWebhook, supersedes=False),
    }
)


def build_channel(
    spec: ChannelSpec, *, now: Callable[[], datetime] = utc_now, context: Context | None = None
) -> Dressed:
    """The channel a spec describes. `spec.options` is an instance of its type's Options, or a mapping for it.

    Raises ValueError (never repeating a value) for an unknown type or wrong options.
    """
    kind = CHANNELS.get(spec.type)
    if kind is None:
        raise ValueError(f"channel {spec.name}: unknown type {spec.type!r}: expected one of {', '.join(CHANNELS)}")
    options = kind.Options.model_validate(spec.options)
    context = replace(context, name=spec.name) if context else Context(spec.name, now)
    return Dressed(kind.make(options, context), options, context, supersedes=kind.supersedes)


def builtin_channels(
    *,
    slack_webhook_url: SecretStr | None,
    pagerduty_routing_key: SecretStr | None,
    pagerduty_url: str,
    webhook_url: SecretStr | None,
    webhook_secret: SecretStr | None,
    max_age: timedelta,
) -> dict[str, ChannelSpec]:
    """The channels `slack`, `pagerduty` and `webhook`, as far as the process settings configure them.

    Raises ValueError naming the setting that is wrong, one line each.
    """
    given: dict[str, dict[str, Any]] = {}
    if slack_webhook_url:
        given["slack"] = {"webhook_url": slack_webhook_url}
    if pagerduty_routing_key:
        given["pagerduty"] = {"routing_key": pagerduty_routing_key, "url": pagerduty_url}
    if webhook_url:
        given["webhook"] = {"url": webhook_url, "secret": webhook_secret}
    specs: dict[str, ChannelSpec] = {}
    problems: list[str] = []
    for name, options in given.items():
        try:
            specs[name] = ChannelSpec(name, name, CHANNELS[name].Options.model_validate(options), max_age)
        except ValidationError as error:
            problems += [_explain(name, e["loc"], e["msg"]) for e in error.errors(include_input=False)]
    if problems:
        raise ValueError("\n".join(problems))
    return specs


def _explain(channel: str, location: tuple[int | str, ...], text: str) -> str:
    option = str(location[0]) if location else "secret"  # a rule about the options together: the webhook's secret
    return f"HEALTHD_{channel}_{option}".upper() + f": {text.removeprefix('Value error, ')}"
