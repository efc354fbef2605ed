"""Social Live's alert rules, with the limits of its runbook."""

from __future__ import annotations

from healthd.sandbox.parts.monitoring import Rule

RULES = (
    Rule(
        "HighErrorRate",
        'sum(rate(http_requests_total{app="backend",status=~"5.."}[30s]))'
        ' / sum(rate(http_requests_total{app="backend"}[30s])) > 0.05',
        "critical",
        "More than 5% of requests fail",
    ),
    Rule("ServiceDown", 'up{job="backend"} == 0', "critical", "The backend cannot be scraped"),
    Rule(
        "HighResponseTime",
        'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{app="backend"}[30s]))) > 1',
        "warning",
        "The 95th percentile is over 1 second",
    ),
)
