"""Cadences and intervals to rules: when checks run, in which zone, and how late is still in time."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from healthd.catalogue.cron import read_cron, spacing
from healthd.catalogue.days import read_rule
from healthd.catalogue.problems import RefusedError, blaming, did_you_mean
from healthd.catalogue.shapes import CadenceShape
from healthd.model.catalogue import Cadence, Rule
from healthd.model.units import format_duration

DAILY_GRACE, RARE_GRACE, LEAST_GRACE = timedelta(hours=4), timedelta(hours=24), timedelta(seconds=30)


def read_zone(name: str) -> ZoneInfo:
    """An IANA time zone. Raises RefusedError with the nearest one."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        zones = sorted(available_timezones())
        cities = {zone.rpartition("/")[2].casefold(): zone for zone in zones if "/" in zone}
        city = cities.get(name.strip().replace(" ", "_").casefold())
        hint = f"did you mean {city!r}?" if city else did_you_mean(name, zones)
        raise RefusedError(
            f"unknown time zone {name!r}", hint if len(hint) < 60 else "expected an IANA name such as Europe/Berlin"
        ) from None


def read_cadence(name: str, shape: CadenceShape, zone: ZoneInfo) -> Cadence:
    """The cadence in the model's terms. Raises RefusedError."""
    with blaming("timezone"):
        zone = read_zone(shape.timezone) if shape.timezone else zone
    if shape.every is not None:
        rule = Rule(zone, every=shape.every)
        text = f"every {format_duration(shape.every.total_seconds())}"
    elif shape.on is not None:
        with blaming("on"):
            rule = Rule(zone, crons=read_rule(shape.on, shape.at))
        text = f"{shape.on} at {' and '.join(shape.at)}"
    else:
        with blaming("cron"):
            rule = Rule(zone, crons=tuple(read_cron(cron) for cron in shape.cron))
        text = "; ".join(shape.cron)
    grace = shape.grace if shape.grace is not None else default_grace(rule)
    return Cadence(name=name, rule=rule, title=shape.title or name, grace=grace, text=text, covers=shape.covers)


def default_grace(rule: Rule) -> timedelta:
    """How late a run of the rule may be: an interval, at least 30 s; 4 h for daily rules, 24 h for rarer ones."""
    if rule.every is not None:
        return max(LEAST_GRACE, rule.every)
    gap = spacing(rule.crons)
    return min(DAILY_GRACE, max(LEAST_GRACE, gap)) if gap <= timedelta(days=1) else RARE_GRACE
