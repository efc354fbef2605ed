"""Reading the catalogue with everything this installation knows: its probes, its channels, its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pydantic import BaseModel, SecretStr

from healthd.catalogue import Looks, load
from healthd.catalogue import load_looks as looks_at
from healthd.catalogue.environment import passwords_in
from healthd.model.catalogue import Catalogue, ChannelSpec, System
from healthd.notify import CHANNELS, builtin_channels
from healthd.probes import PROBES
from healthd.settings import Settings, SettingsError

OWN_URL = "HEALTHD_OWN_URL"
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - where it listens, not we


def channel_options() -> Mapping[str, type[BaseModel]]:
    """The options model of every channel type."""
    return {name: kind.Options for name, kind in CHANNELS.items()}


def load_catalogue(settings: Settings, folders: Sequence[str] = ()) -> Catalogue:
    """The catalogue of `folders` (default: the settings'). Raises CatalogueError with everything that is wrong."""
    return load(
        folders or settings.checks,
        probes=PROBES,
        channels=channel_options(),
        settings=settings,
        environment=_environment(settings),
    )


def load_looks(settings: Settings, location: str) -> Looks:
    """What workers at `location` look at. Raises CatalogueError."""
    return looks_at(settings.checks, location, probes=PROBES, settings=settings, environment=_environment(settings))


def _environment(settings: Settings) -> Mapping[str, str]:
    """The variables catalogues may use: the process', and HEALTHD_OWN_URL, where the daemon answers this machine."""
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    host = f"[{host}]" if ":" in host else host
    return {OWN_URL: f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}", **os.environ}


def in_force(catalogue: Catalogue, *own: System) -> Catalogue:
    """What runs: the catalogue's checks, its attestations as checks, and systems of our `own`."""
    systems = {
        name: replace(system, checks=(*system.checks, *system.tasks), tasks=()) if system.tasks else system
        for name, system in catalogue.systems.items()
    }
    systems |= {system.name: system for system in own if system.name not in systems}
    checks = {check.id: check for system in systems.values() for check in system.checks}
    return replace(catalogue, systems=MappingProxyType(systems), checks=MappingProxyType(checks))


def builtin(settings: Settings) -> Mapping[str, ChannelSpec]:
    """The channels that exist because the settings hold their secrets: slack, pagerduty, webhook.

    Raises SettingsError naming the variables that are wrong.
    """
    try:
        return builtin_channels(
            slack_webhook_url=settings.slack_webhook_url,
            pagerduty_routing_key=settings.pagerduty_routing_key,
            pagerduty_url=settings.pagerduty_url,
            webhook_url=settings.webhook_url,
            webhook_secret=settings.webhook_secret,
            max_age=settings.notify_max_age,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def secrets_of(settings: Settings) -> set[str]:
    """Every secret value of the settings, never to be shown."""
    values = (getattr(settings, name) for name in Settings.model_fields)
    known = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    several = settings.pagerduty_webhook_secrets
    known |= {password for value in known for password in passwords_in(value)}
    return known | ({part.strip() for part in several.get_secret_value().split(",")} - {""} if several else set())
