"""Reading the catalogue with everything this installation knows: its probes, its channels, its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, SecretStr

from healthd.catalogue import load
from healthd.model.catalogue import Catalogue
from healthd.notify import CHANNELS
from healthd.probes import PROBES
from healthd.settings import Settings


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
        environment=os.environ,
    )


def secrets_of(settings: Settings) -> set[str]:
    """Every secret value of the settings, never to be shown."""
    values = (getattr(settings, name) for name in Settings.model_fields)
    return {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
