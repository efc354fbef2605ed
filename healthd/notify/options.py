"""What every channel's options share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from healthd.model.units import parse_duration

EVENTS = (
    "firing", "worsened", "improved", "updated", "escalated", "acknowledged", "reopened", "resolved", "notice",
)  # fmt: skip
MAX_TEMPLATE = 20_000  # characters of a template
_RATE = re.compile(r"(\d{1,6})\s*/\s*(\d{0,6}\s*(?:s|m|min|h|d))")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in each stretch of `per`."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count}/{self.per.total_seconds():g}s"


def parse_rate(text: Any) -> Any:
    """ "1/s", "30/min", "100/h", "5/10s". Raises ValueError."""
    if not isinstance(text, str):
        return text
    match = _RATE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError('not a rate: expected a number of messages and a time, such as "1/s", "30/min" or "100/h"')
    per = match[2].replace(" ", "").replace("min", "m")
    return Rate(int(match[1]), parse_duration(per if per[0].isdigit() else f"1{per}"))


def _words(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Templates(BaseModel):
    """Jinja2 texts in place of the channel's own: each given here, or in a file below the daemon's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field("", max_length=MAX_TEMPLATE, description="one line")
    text: str = Field("", max_length=MAX_TEMPLATE, description="Markdown")
    file: str = Field("", description="a file whose first line is the title, and the rest the text")

    @model_validator(mode="after")
    def _one_source(self) -> Templates:
        if self.file and (self.title or self.text):
            raise ValueError("both a file and a text: keep one")
        if not (self.file or self.title or self.text):
            raise ValueError("nothing in it: give a title, a text or a file")
        problem = unreadable(self.file) if self.file else ""
        if problem:
            raise ValueError(problem)
        return self

    def sources(self) -> tuple[str, str]:
        """The templates of title and text. Raises OSError or ValueError when the file has become unreadable."""
        if not self.file:
            return self.title, self.text
        title, _, text = Path(self.file).read_text(encoding="utf-8")[:MAX_TEMPLATE].partition("\n")
        return title, text


def unreadable(file: str) -> str:
    """Why a template's file cannot be used, "" when it can."""
    try:
        size = len(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        return f"cannot read {file}: {error.strerror}"
    except UnicodeDecodeError:
        return f"cannot read {file}: it is not text in UTF-8"
    return f"{file} is longer than {MAX_TEMPLATE} characters" if size > MAX_TEMPLATE else ""


class Options(BaseModel):
    """Unknown keys are errors, and no error repeats a value.

    `timeout` is for a whole request, from connecting to the end of the answer. `rate`: at most so many messages.
    `events`: only these, of what routes send here. `details: brief` leaves out values, evidence, commands and findings.
    `templates`: texts in place of the channel's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout: Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0), le=timedelta(minutes=1))] = (
        timedelta(seconds=10)
    )
    rate: Annotated[
        Rate | None,
        BeforeValidator(parse_rate),
        Field(description='at most so many messages, such as "1/s" or "30/min"'),
    ] = None
    events: Annotated[tuple[Literal[EVENTS], ...], BeforeValidator(_words)] = ()  # type: ignore[valid-type]
    details: Literal["full", "brief"] = "full"
    templates: Templates | None = None


def _check_url(url: SecretStr) -> SecretStr:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.get_secret_value())
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        httpx.URL(url.get_secret_value())
    except (ValueError, httpx.InvalidURL):
        well_formed = False
    if not well_formed:
        raise ValueError("not a web address: expected https://host/path")
    return url


SecretUrl = Annotated[SecretStr, AfterValidator(_check_url), Field(description="a web address, https://host/path")]
SecretText = Annotated[SecretStr, Field(min_length=1)]


def wants(options: Any, event: str) -> bool:
    """Whether a channel of these options is told of `event`; a test always reaches it."""
    events = options.get("events", ()) if isinstance(options, Mapping) else getattr(options, "events", ())
    return not events or event == "test" or event in events
