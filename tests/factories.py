"""Model objects for tests: complete and plain, every field open to override."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Check, Flapping, ProbeSpec, Retry, Rule, Source, UnknownPolicy

UTC_ZONE = ZoneInfo("UTC")


def every(seconds: float, zone: str = "UTC") -> Rule:
    """An interval rule."""
    return Rule(ZoneInfo(zone), every=timedelta(seconds=seconds))


def cron(*expressions: str, zone: str = "UTC") -> Rule:
    """A calendar rule: any of the expressions fires."""
    return Rule(ZoneInfo(zone), crons=expressions)


def make_check(**overrides: Any) -> Check:
    """A check `shop/web` that runs every minute, with anything overridden by field name.

    `rules` and `cadences` go together: the rule of the first cadence first, the check's own rules last.
    """
    fields: dict[str, Any] = {
        "system": "shop",
        "name": "web",
        "title": "Shop front",
        "probe": ProbeSpec("http", None),
        "rules": (every(60),),
        "cadences": (),
        "thresholds": (),
        "severity": "SEV2",
        "warning_severity": "SEV3",
        "playbook": None,
        "depends_on": (),
        "covers": (),
        "timeout": timedelta(seconds=10),
        "grace": timedelta(hours=1),
        "retry": Retry(),
        "unknown": UnknownPolicy(),
        "flapping": Flapping(),
        "labels": {},
        "runbook_url": "",
        "description": "",
        "source": Source("checks/shop/shop.yaml", 1),
        "fingerprint": "",
    }
    return Check(**{**fields, **overrides})
