"""Routes: which incidents go to which channels."""

from __future__ import annotations

from typing import Any

import pytest

from healthd.model.catalogue import Route
from healthd.model.outcomes import Level
from healthd.notify import match

KNOWN = ("slack", "pagerduty", "webhook", "team-db")


def told(*routes: Route, **overrides: Any) -> tuple[str, ...]:
    incident: dict[str, Any] = {
        "system": "shop",
        "severity": "SEV2",
        "check_id": "shop/redis-ping",
        "level": Level.CRITICAL,
        "labels": {"team": "data", "tier": "1"},
        "known": KNOWN,
    }
    return match(routes, **{**incident, **overrides})


def test_without_routes_every_channel_hears() -> None:
    assert told() == KNOWN
    assert told(known=()) == ()


def test_a_route_without_criteria_matches_everything() -> None:
    assert told(Route(("slack",))) == ("slack",)


def test_no_matching_route_tells_nobody() -> None:
    assert told(Route(("slack",), systems=("bank",))) == ()


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ({"systems": ("shop",)}, True),
        ({"systems": ("SH*",)}, True),
        ({"systems": ("bank", "shop")}, True),
        ({"systems": ("hop",)}, False),
        ({"severities": ("sev[12]",)}, True),
        ({"severities": ("SEV1",)}, False),
        ({"checks": ("shop/redis-ping",)}, True),
        ({"checks": ("*/redis-*",)}, True),
        ({"checks": ("redis-*",)}, True),
        ({"checks": ("ping",)}, False),
        ({"checks": ("bank/*",)}, False),
        ({"levels": (Level.CRITICAL, Level.UNKNOWN)}, True),
        ({"levels": (Level.WARNING,)}, False),
        ({"labels": {"team": "DATA"}}, True),
        ({"labels": {"team": "d*", "tier": "1"}}, True),
        ({"labels": {"team": "d*", "tier": "2"}}, False),
        ({"labels": {"owner": "*"}}, False),
        ({"systems": ("shop",), "severities": ("SEV1",)}, False),
    ],
)
def test_every_criterion_given_must_match(criteria: dict[str, Any], matches: bool) -> None:
    assert told(Route(("slack",), **criteria)) == (("slack",) if matches else ())


def test_routes_are_tried_in_order_until_one_does_not_continue() -> None:
    first = Route(("slack",))
    last = Route(("pagerduty",), continue_=False)
    never = Route(("webhook",))
    assert told(first, last, never) == ("slack", "pagerduty")


def test_a_route_that_does_not_match_does_not_end_the_search() -> None:
    assert told(Route(("slack",), systems=("bank",), continue_=False), Route(("webhook",))) == ("webhook",)


def test_each_channel_hears_once_in_the_order_of_the_routes() -> None:
    assert told(Route(("webhook", "slack")), Route(("slack", "pagerduty"))) == ("webhook", "slack", "pagerduty")


def test_channels_that_are_not_configured_are_left_out() -> None:
    assert told(Route(("slack", "gone"))) == ("slack",)
