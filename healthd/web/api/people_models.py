"""The shapes of what the API says of silences, maintenance windows and attestations, and of what it is told."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from healthd.web.api.models import Shape
from healthd.web.api.written import Duration, Link, Matcher, Moment, Reason
from healthd.web.pages.incidents import MAX_NOTE


class MatcherParts(Shape):
    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Silence(Shape):
    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[MatcherParts] = Field(description="all of them must hold")
    author: str
    reason: str
    created_at: str
    starts_at: str
    ends_at: str
    ended_by: str = Field(description='who ended it early, ""')
    incidents: list[str] = Field(description="ids of the open incidents it is about, the first 100")


class SilenceList(Shape):
    silences: list[Silence]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


# one of the two, and not empty
ENDS: JsonDict = {
    "oneOf": [
        {"required": ["duration"], "not": {"required": ["ends_at"]}},
        {"required": ["ends_at"], "not": {"required": ["duration"]}},
    ]
}


SILENCE: JsonDict = {
    "matchers": ["check=shop/web", "severity=~SEV[34]"], "reason": "new certificate", "duration": "2h", "actor": "ada",
}  # fmt: skip
MAINTENANCE: JsonDict = {"system": "shop", "reason": "PostgreSQL 18", "duration": "90m", "notice": "1d", "actor": "ada"}


class SilenceRequest(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={**ENDS, "examples": [SILENCE]})

    matchers: list[Matcher] = Field(
        description="such as check=shop/web or severity=~SEV[34]: = and != take globs, =~ and !~ regular expressions"
        " in which three characters or classes at most repeat; a word alone is a check",
        min_length=1,
        max_length=20,
    )
    reason: Reason = Field(description="why, for those who wonder why nobody was told")
    duration: Duration = Field("", description="how long, such as 2h; or give ends_at")
    starts_at: Moment = Field("", description="RFC 3339; default: now")
    ends_at: Moment = Field("", description="RFC 3339, instead of duration")
    actor: str = Field("api", description="who, for the silence and the audit log", max_length=200)


class Window(Shape):
    id: str
    system: str
    name: str = Field(description='of the catalogue\'s window, "" for one that was added')
    title: str
    description: str
    state: Literal["planned", "active", "over", "called off"]
    starts_at: str
    ends_at: str
    notice: float = Field(description="seconds ahead that it is announced")
    author: str
    except_severities: list[str] = Field(description="incidents of these are told all the same")
    except_checks: list[str] = Field(description="incidents of these checks are told all the same: globs")
    ended_by: str = Field(description='who ended it early or called it off, ""')


class WindowList(Shape):
    windows: list[Window]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class WindowRequest(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={**ENDS, "examples": [MAINTENANCE]})

    system: str
    reason: Reason = Field(description="what is done: told in its announcements")
    duration: Duration = Field("", description="how long, such as 2h; or give ends_at")
    starts_at: Moment = Field("", description="RFC 3339; default: now")
    ends_at: Moment = Field("", description="RFC 3339, instead of duration")
    notice: Duration = Field("", description="how long ahead it is announced; default: 48h, 0s: not at all")
    except_severities: list[str] = Field(default=[], description="incidents of these are told all the same")
    actor: str = Field("api", description="who, for the window and the audit log", max_length=200)


class Withdrawal(Shape):
    by: str
    at: str
    reason: str
    given_by: str = Field(description="whose signature it was")
    given_at: str


class Attestation(Shape):
    id: str
    check: str = Field(description="what is asked for: system/name")
    system: str
    title: str
    description: str
    state: Literal["due", "overdue", "given", "missed"] = Field(description="missed: nobody signed for it")
    asked_at: str
    due_by: str
    overdue_since: str | None = Field(description="since when it, or one before it, is or was overdue")
    cadence: str
    incident: str = Field(description='that it follows, ""')
    who: str
    reminded: int = Field(description="how often it was asked for again")
    closed_at: str | None
    given_by: str
    note: str
    link: str
    late: bool = Field(description="given after it was due")
    dropped: str = Field(description='why nobody is asked for it any more, ""')
    withdrawn: list[Withdrawal] = Field(description="signatures taken back")


class AttestationList(Shape):
    attestations: list[Attestation]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class AttestRequest(Shape):
    actor: str = Field("api", description="who did it", max_length=200)
    note: str = Field("", description="what was done or found", max_length=MAX_NOTE)
    link: Link = Field("", description="to a ticket, a protocol, a recording")


class WithdrawRequest(Shape):
    reason: Reason = Field(description="why it is withdrawn")
    actor: str = Field("api", description="who", max_length=200)
