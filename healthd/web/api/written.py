"""How clients write times, durations, matchers and links: by patterns that the API's description tells as they are.

What fits its pattern is taken, unless it is about something that there is not (404) or cannot be at its time (409).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from healthd.model.matchers import parse_matcher
from healthd.model.silences import SilenceError
from healthd.model.units import UnitError, parse_duration
from healthd.web.attesting import MAX_LINK
from healthd.web.moments import moment
from healthd.web.pages.incidents import MAX_NOTE
from healthd.web.problem import RequestError
from healthd.web.quiet import INVISIBLE

CONTROL = r"\u0000-\u001f\u007f-\u009f"
_UNIT = "(ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_PART = rf"([0-9]{{1,4}}(\.[0-9]{{1,3}})? ?{_UNIT}|[0-9]{{1,3}}(\.[0-9]{{1,3}})? ?(w|weeks?))"
DURATION = rf"^{_PART}( ?{_PART}){{0,2}}$"
LINK = rf"^(https?://[^/{INVISIBLE}][^{INVISIBLE}]*)?$"
REASON = f"[^{INVISIBLE}]"

# Regular expressions of which none can be wrong or take for ever: three characters or classes at most repeat as often
# as they like, and no group does.
_LITERAL = rf"""[^\\\[\](){{}}*+?|^$." {CONTROL}]"""
_CLASS = rf"\[\^?(a-z|A-Z|{'|'.join(f'{n}-[{n}-9]' for n in range(9))}|[A-Za-z0-9_./:@%,]){{1,20}}\]"
_ATOM = rf"({_LITERAL}|\\[dwsDWS./*+?()\[\]{{}}|^$\\-]|\.|{_CLASS})"
_PIECE = rf"{_ATOM}(\?|\{{[0-9]{{1,2}}\}})?"
_PIECES = rf"({_PIECE}|\(({_PIECE}|\|)*\)\??|\|)*"
EXPRESSION = rf'"?\^?{_PIECES}({_ATOM}[*+]{_PIECES}){{0,3}}\$?"?'
_NAME = r"[A-Za-z_][A-Za-z0-9_./-]{0,99}"
_VALUE = rf"([^~{CONTROL}][^{CONTROL}]{{0,198}})?"
MATCHER = rf"^({_NAME} ?(=|!=) ?{_VALUE}|{_NAME} ?(=~|!~) ?{EXPRESSION}|[A-Za-z0-9_./*?-]{{1,200}})$"
LONGEST_MATCHER = 200
_MATCHER = re.compile(MATCHER)


def _moment(text: str) -> str:
    return _said(text, lambda: moment(text, "it"), "not a time: write it like 2026-01-02T15:04:05Z")


def _duration(text: str) -> str:
    wrong = "not a duration: write it like 90s, 2h, 1h30m or 7d"
    if not re.fullmatch(DURATION, text):
        raise ValueError(wrong)
    return _said(text, lambda: parse_duration(text), wrong)


def _matcher(text: str) -> str:
    try:
        parse_matcher(text)
    except SilenceError as error:
        raise ValueError(str(error)) from None
    if len(text) > LONGEST_MATCHER or not _MATCHER.fullmatch(text):
        raise ValueError(
            f"{text[:60]!r} is no matcher: expected system=shop, check=shop/web or severity=~SEV[34], in which at most"
            " three repeat, each a letter, ., \\d or [...], and none in (...)"
        )
    return text


def _link(text: str) -> str:
    if len(text) > MAX_LINK or not re.fullmatch(LINK, text):
        raise ValueError("not a web address: expected https://...")
    return text


def _reason(text: str) -> str:
    if len(text) > MAX_NOTE:
        raise ValueError(f"more than {MAX_NOTE} characters")
    if not re.search(REASON, text):
        raise ValueError("a reason is needed: say why, for those who wonder why nobody was told")
    return text


def _said(text: str, read: Callable[[], Any], wrong: str) -> str:
    try:
        read()
    except (RequestError, UnitError):
        raise ValueError(wrong) from None
    return text


Moment = Annotated[str, AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Duration = Annotated[str, AfterValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION})]
Matcher = Annotated[
    str,
    AfterValidator(_matcher),
    WithJsonSchema({"type": "string", "pattern": MATCHER, "minLength": 1, "maxLength": LONGEST_MATCHER}),
]
Link = Annotated[str, AfterValidator(_link), WithJsonSchema({"type": "string", "pattern": LINK, "maxLength": MAX_LINK})]
Reason = Annotated[
    str, AfterValidator(_reason), WithJsonSchema({"type": "string", "pattern": REASON, "maxLength": MAX_NOTE})
]
