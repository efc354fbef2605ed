"""Alerts as Prometheus and Alertmanager list them, read into one form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from healthd.model.units import format_duration

_SHOWN_LABELS = 8
_PROSE = ("summary", "description", "message")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `state` is firing or pending; `summary` is its annotation."""

    name: str
    state: str
    labels: Mapping[str, str]
    since: datetime | None
    summary: str

    def line(self, now: datetime) -> str:
        """One line for people."""
        shown = [f"{k}={v}" for k, v in sorted(self.labels.items()) if k != "alertname"][:_SHOWN_LABELS]
        age = f" since {self.since:%Y-%m-%d %H:%M} UTC ({_ago(self.since, now)})" if self.since is not None else ""
        labels = f"{{{', '.join(shown)}}}" if shown else ""
        return f"{self.name}{labels} {self.state}{age}" + (f": {self.summary[:200]}" if self.summary else "")


def _ago(since: datetime, now: datetime) -> str:
    return format_duration(max(0.0, (now - since).total_seconds()))


def from_prometheus(answer: Any) -> list[Alert]:
    """Read the answer of /api/v1/alerts. Raises KeyError, TypeError, AttributeError or ValueError."""
    return [_alert(item, str(item["state"]), item.get("activeAt")) for item in answer["data"]["alerts"]]


def from_alertmanager(answer: Any) -> list[Alert]:
    """Read the answer of /api/v2/alerts. Raises like `from_prometheus`."""
    return [_alert(item, "firing", item.get("startsAt")) for item in answer]


def rule_names(answer: Any) -> set[str]:
    """The names of all alerting rules, from the answer of /api/v1/rules. Raises like `from_prometheus`."""
    rules = (rule for group in answer["data"]["groups"] for rule in group["rules"])
    return {str(rule["name"]) for rule in rules if rule.get("type", "alerting") == "alerting"}


def _alert(item: Mapping[str, Any], state: str, since: Any) -> Alert:
    labels = {str(k): str(v) for k, v in item["labels"].items()}
    annotations = item.get("annotations") or {}
    prose = next((str(annotations[key]) for key in _PROSE if annotations.get(key)), "")
    moment = datetime.fromisoformat(_microseconds(str(since))) if since else None
    return Alert(labels.get("alertname", ""), state, labels, moment, " ".join(prose.split()))


def _microseconds(stamp: str) -> str:
    """Go writes nanoseconds; Python reads at most microseconds."""
    head, dot, rest = stamp.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return head + (f".{rest[:digits][:6]:0<6}{rest[digits:]}" if dot else "")
