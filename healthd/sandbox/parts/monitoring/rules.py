"""Alert rules, for Prometheus and for its stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Shorter than in any real production, so that an alert fires while somebody watches.
HOLD_SECONDS = 2
SCRAPE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """One alerting rule: fires once `expr` has had a result for HOLD_SECONDS."""

    alert: str
    expr: str
    severity: str
    summary: str


def rules_file(rules: Sequence[Rule]) -> dict[str, object]:
    """The rules as Prometheus reads them from a file."""
    written = [
        {
            "alert": rule.alert,
            "expr": rule.expr,
            "for": f"{HOLD_SECONDS}s",
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
        }
        for rule in rules
    ]
    return {"groups": [{"name": "sandbox", "rules": written}]}
