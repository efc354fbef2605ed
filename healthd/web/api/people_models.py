"""The shapes of what the API says of silences, maintenance windows and attestations, and of what it is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from healthd.web.api.models import Shape
from healthd.web.pages.incidents import MAX_NOTE


class Matcher(Shape):
    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Silence(Shape):
    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[Matcher] = Field(description="all of them must hold")
    author: str
    reason: str
    created_at: str
    starts_at: str
    ends_at: str
    ended_by: str = Field(description='who ended it early, ""')
    incidents: list[str] = Field(description="ids of the open incidents it is about, the first 100")


class SilenceList(Shape):
    silences: list[Silence]


class SilenceRequest(Shape):
    matchers: list[str] = Field(
        description="such as check=shop/web or severity=~SEV[34]: = and != take globs, =~ and !~ regular expressions",
        min_length=1,
        max_length=20,
    )
    reason: str = Field(description="why, for those who wonder why nobody was told", max_length=MAX_NOTE)
    duration: str = Field("", description="how long, such as 2h; or give ends_at")
    starts_at: str = Field("", description="RFC 3339; default: now")
    ends_at: str = Field("", description="RFC 3339, instead of duration")
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


class WindowRequest(Shape):
    system: str
    reason: str = Field(description="what is done: told in its announcements", max_length=MAX_NOTE)
    duration: str = Field("", description="how long, such as 2h; or give ends_at")
    starts_at: str = Field("", description="RFC 3339; default: now")
    ends_at: str = Field("", description="RFC 3339, instead of duration")
    notice: str = Field("", description="how long ahead it is announced; default: 48h")
    except_severities: list[str] = Field(default=[], description="incidents of these are told all the same")
    actor: str = Field("api", description="who, for the window and the audit log", max_length=200)
