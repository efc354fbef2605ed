"""When what happened to an incident is told: at once where somebody has to come, together where much happens at once.

The first incident is told at once. One that opens shortly after another waits until no more checks begin to fire, to
see whether a storm is coming; so does the news that one has come. Members that join or recover are told together, at
longer and longer intervals. What waits is part of the incident, and so survives a restart.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from healthd.incidents.lifecycle import Decision
from healthd.model.incidents import Telling

CROWD = timedelta(seconds=10)  # an incident that opens so soon after another waits
SETTLE = timedelta(seconds=2)  # until so long no check has begun to fire
LONGEST = timedelta(seconds=10)  # but not longer
JOINED = timedelta(seconds=10)  # from the first that joins to the update that tells of all
RECOVERED = timedelta(minutes=1)  # likewise of those that recover
# at least from one telling to the next, by how often it was told; somebody has to know at once that it is worse
WORSE = (timedelta(0), timedelta(seconds=2), timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1))
UPDATES = (timedelta(0), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
_URGENCY = ("", "recovered", "joined", "worsened", "storm", "firing")


def plan(decision: Decision, *, crowded: bool) -> Telling:
    """What is to be told after `decision`, and from when. `crowded`: another incident opened within CROWD."""
    telling, at = decision.incident.telling, decision.entry.at
    event = decision.event
    if event == "resolved":
        return replace(telling, event="", due=None)
    if decision.entry.kind in ("recovered", "left"):
        event = "recovered"
    elif event == "reopened":
        event = "firing"
    if event not in _URGENCY:
        return telling
    due = _due(event, telling, at, crowded)
    if telling.due is None:
        return replace(telling, event=event, due=due)
    if telling.event in ("firing", "storm"):  # all that happens meanwhile will be part of it
        return telling
    if event == "storm":
        return replace(telling, event=event, due=due)
    return replace(telling, event=max(event, telling.event, key=_URGENCY.index), due=min(due, telling.due))


def held(telling: Telling, begun: datetime | None, now: datetime) -> datetime | None:
    """Until when a telling that is due waits once more, because checks are still beginning to fire (`begun`: the last
    one); None when it waits no longer."""
    if telling.event not in ("firing", "storm") or telling.due is None or begun is None:
        return None
    until = min(begun + SETTLE, telling.due + LONGEST - SETTLE)
    return until if now < until <= now + SETTLE else None


def told(telling: Telling, at: datetime) -> Telling:
    """Nothing is left to tell."""
    return Telling(last=at, count=telling.count + 1)


def _due(event: str, telling: Telling, at: datetime, crowded: bool) -> datetime:
    if event == "firing":
        return at + SETTLE if crowded else at
    if event == "storm":
        return at + SETTLE
    pauses = WORSE if event == "worsened" else UPDATES
    pause = pauses[min(telling.count, len(pauses) - 1)]
    soonest = at + {"joined": JOINED, "recovered": RECOVERED}.get(event, timedelta(0))
    return max(soonest, telling.last + pause) if telling.last else soonest
