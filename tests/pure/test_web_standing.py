"""What is said of several checks together."""

from __future__ import annotations

import pytest

from healthd.web.standing import Status, count, overall

OK, WAITING, DISABLED = Status.OK, Status.WAITING, Status.DISABLED


@pytest.mark.parametrize(
    ("found", "together"),
    [
        ([], DISABLED),
        ([DISABLED], DISABLED),
        ([WAITING, DISABLED], WAITING),
        ([OK, WAITING, DISABLED], OK),
        ([OK, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.WARNING, WAITING], Status.WARNING),
        ([Status.WARNING, Status.CRITICAL], Status.CRITICAL),
    ],
)
def test_what_nobody_has_looked_at_is_not_called_ok(found: list[Status], together: Status) -> None:
    assert overall(count(found)) is together
