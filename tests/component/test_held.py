"""Messages that wait for the hours of their route, and news that newer news says as well; on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.incidents import Decision
from healthd.model.catalogue import Catalogue, ChannelSpec, Route
from healthd.model.hours import parse_hours
from healthd.model.incidents import Incident, Message, Notice, TimelineEntry
from healthd.model.outcomes import Level
from healthd.store import SqlStore
from healthd.telling import Teller
from tests.component.outbox.desk import Desk
from tests.factories import make_check
from tests.servers.receiver import Receiver
from tests.telling import make_incident, make_message, make_system

NIGHT = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)  # a Monday
MORNING = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OFFICE = parse_hours("mon-fri 09:00-18:00")
CHECK = make_check()


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def channel(url: str, **options: object) -> ChannelSpec:
    return ChannelSpec("team", "slack", {"webhook_url": f"{url}/hook", "rate": "1000/s", **options})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    made = Desk(store, clock=Clock(NIGHT))
    yield made
    await made.outbox.stop(1)
    await store.close()


def teller(url: str, *routes: Route, **options: object) -> Teller:
    made = Teller("https://healthd.example")
    made.channels = {"team": channel(url, **options), "other": replace(channel(url), name="other")}
    system = make_system(checks=(CHECK,))
    made.catalogue = Catalogue({"shop": system}, {}, routes, checks={CHECK.id: CHECK})
    return made


def told(made: Teller, incident: Incident, event: str, at: datetime) -> tuple[Incident, tuple[Message, ...]]:
    return made.tell(Decision(incident, event, TimelineEntry(incident.id, at, event, event)), CHECK, (), ())


async def wait(desk: Desk, at: datetime) -> None:
    """It is `at` now, and the outbox looks."""
    clock = desk.clock
    assert isinstance(clock, Clock)
    clock.now = at
    desk.outbox.wake(["team"])


async def _waiting(desk: Desk, count: int) -> bool:
    return [state.pending for state in await desk.store.outbox()] == [count]


async def test_held_until_the_hours_begin_also_by_the_next_process(desk: Desk, receiver: Receiver) -> None:
    made = teller(receiver.url, Route(("team",), hours=OFFICE))
    _, messages = told(made, make_incident(), "firing", NIGHT)
    assert [(m.channel, m.next_attempt_at) for m in messages] == [("team", MORNING)]
    desk.outbox.reconfigure(made.channels)  # what waits is tried at once, but not what is held
    desk.outbox.start()
    await desk.tell(*messages)
    await desk.tell(make_message("INC-9-1-team", group="INC-9"))
    await receiver.expect(1)
    await desk.until(lambda: _waiting(desk, 1))
    await wait(desk, MORNING + timedelta(seconds=1))
    await receiver.expect(2)
    assert "INC-20260102" in receiver.requests[1].body.decode()


async def test_worse_news_does_not_wait_behind_what_is_held(desk: Desk, receiver: Receiver) -> None:
    made = teller(
        receiver.url, Route(("team",), severities=("SEV2",), hours=OFFICE), Route(("team",), severities=("SEV1",))
    )
    incident, first = told(made, make_incident(), "firing", NIGHT)
    incident, second = told(made, replace(incident, severity="SEV1"), "worsened", NIGHT + timedelta(minutes=5))
    assert second[0].next_attempt_at is None
    assert incident.details["held"] == {}
    desk.outbox.reconfigure(made.channels)
    desk.outbox.start()
    await desk.tell(*first)
    await desk.tell(*second)
    requests = await receiver.expect(2)
    assert [r.json["text"].split(" ")[0] for r in requests] == ["Firing", "Worse"]


async def test_of_what_ended_before_the_hours_begin_only_the_end_is_told(desk: Desk, receiver: Receiver) -> None:
    made = teller(receiver.url, Route(("team",), hours=OFFICE))
    incident, first = told(made, make_incident(), "firing", NIGHT)
    ended = replace(incident, resolved_at=NIGHT + timedelta(minutes=9), level=Level.OK)
    _, last = told(made, ended, "resolved", NIGHT + timedelta(minutes=9))
    assert last[0].next_attempt_at == MORNING
    desk.outbox.reconfigure(made.channels)
    desk.outbox.start()
    await desk.tell(*first, *last)
    await wait(desk, MORNING + timedelta(seconds=1))
    await desk.until(desk.empty)
    assert [r.json["text"].split(":")[0] for r in receiver.requests] == ["Resolved"]
    assert desk.outcomes["team", "superseded"] == 1


@pytest.mark.parametrize(("outside", "channels"), [("drop", []), ("next", ["other"])])
def test_outside_the_hours(receiver: Receiver, outside: str, channels: list[str]) -> None:
    route = Route(("team",), hours=OFFICE, outside=outside, continue_=False)
    made = teller(receiver.url, route, Route(("other",)))
    assert [m.channel for m in told(made, make_incident(), "firing", NIGHT)[1]] == channels
    assert [m.channel for m in told(made, make_incident(), "firing", MORNING)[1]] == ["team"]


def test_a_notice_is_held_too(receiver: Receiver) -> None:
    made = teller(receiver.url, Route(("team",), kinds=("report",), hours=OFFICE))
    (message,) = made.announce(Notice("report", "R-1", "shop", "Morning", "well", NIGHT))
    assert message.next_attempt_at == MORNING


def test_a_channel_is_told_only_the_events_it_wants(receiver: Receiver) -> None:
    made = teller(receiver.url, events=["resolved", "notice"])
    incident, messages = told(made, make_incident(), "firing", NIGHT)
    assert [m.channel for m in messages] == ["other"]
    _, messages = told(made, replace(incident, resolved_at=NIGHT), "resolved", NIGHT)
    assert [m.channel for m in messages] == ["team", "other"]
    assert len(made.announce(Notice("report", "R-1", "shop", "Morning", "well", NIGHT))) == 2


async def test_updates_that_waited_while_a_channel_was_away_become_one(desk: Desk, receiver: Receiver) -> None:
    events = ["firing", "updated", "updated", "worsened", "updated", "updated", "acknowledged", "resolved"]
    incident = make_incident()
    for number, event in enumerate(events):
        await desk.tell(make_message(f"INC-1-{number}-team", group="INC-1", event=event, incident=incident))
    desk.outbox.reconfigure({"team": channel(receiver.url)})
    desk.outbox.start()
    await desk.until(desk.empty)
    words = [r.json["text"].split(" ")[0].rstrip(":") for r in receiver.requests]
    assert words == ["Firing", "Worse", "Acknowledged", "Resolved"]


async def test_a_rate_is_kept(desk: Desk, receiver: Receiver) -> None:
    desk.outbox.reconfigure({"team": channel(receiver.url, rate="3/s")})
    desk.outbox.start()
    await desk.tell(*(make_message(f"INC-{i}-1-team", group=f"INC-{i}") for i in range(8)))
    requests = await receiver.expect(8)
    times = [request.monotonic for request in requests]
    assert all(later - earlier > 0.6 for earlier, later in zip(times, times[3:], strict=False))
