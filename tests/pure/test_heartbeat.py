"""When nobody can be told any more: what the dead man's switch is withheld for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from healthd.services.heartbeat import all_stuck
from healthd.store.base import OutboxState

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def waiting(channel: str, minutes: float | None) -> OutboxState:
    oldest = None if minutes is None else NOW - timedelta(minutes=minutes)
    return OutboxState(channel, 1, oldest)


@pytest.mark.parametrize(
    ("states", "channels", "stuck"),
    [
        ([], ["slack"], False),
        ([waiting("slack", 6)], ["slack"], True),
        ([waiting("slack", 5)], ["slack"], False),
        ([waiting("slack", 6)], ["slack", "pagerduty"], False),  # there is somebody to tell
        ([waiting("slack", 6), waiting("pagerduty", 60)], ["slack", "pagerduty"], True),
        ([waiting("gone", 600)], ["slack"], False),
        ([waiting("slack", None)], ["slack"], False),
        ([waiting("gone", 600)], [], False),
    ],
)
def test_only_when_every_channel_is_stuck_nobody_can_be_told(
    states: list[OutboxState], channels: list[str], stuck: bool
) -> None:
    assert all_stuck(states, channels, NOW, timedelta(minutes=5)) is stuck
