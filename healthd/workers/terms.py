"""What daemon and workers agree on: names, times, and why looks cannot be made elsewhere in an installation."""

from __future__ import annotations

from importlib.util import find_spec

from healthd.model.catalogue import Catalogue
from healthd.settings import Settings

QUEUE = "healthd:"  # and the location
TASK = "healthd.look"
CHANNEL = "healthd_answers"
BEAT = 1.0  # seconds between a worker's signs of life
TRIES = 2  # of one look: one that ends its worker does not end all of them


def queue_of(location: str) -> str:
    """The engine's queue of a location."""
    return QUEUE + location


def obstacle(settings: Settings) -> str:
    """Why nothing can be looked at from elsewhere here, and what would be right; "" if it can."""
    if settings.database_url.get_secret_value().startswith("sqlite"):
        return (
            "workers need a PostgreSQL they share with the daemon, and HEALTHD_DATABASE_URL is SQLite:"
            " set it to postgresql://user:password@host/name"
        )
    if find_spec("procrastinate") is None:
        return "workers need Procrastinate: pip install 'healthd[workers]'"
    return ""


def locations(catalogue: Catalogue) -> set[str]:
    """From where it has something looked at."""
    steps = (
        step
        for system in catalogue.systems.values()
        for playbook in system.playbooks.values()
        for step in playbook.diagnostics
    )
    looks = [step.look for step in steps if step.look is not None]
    enabled = [check for check in catalogue.checks.values() if check.enabled]
    return {look.location for look in (*enabled, *looks)} - {""}
