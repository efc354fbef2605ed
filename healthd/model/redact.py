"""Keeping secrets out of everything a person or a file may see."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "<redacted>"
_URL_SAFE = str.maketrans("+/", "-_")
_BASE64_LEAST = 7  # letters; fewer would be found in anything
# Each begins with a word, not with a repetition, and what repeats ends where another could begin: production chooses
# the text, and time must grow with its length only.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@host in any URL; the user stays, it helps to find the mistake
    (re.compile(r"(?P<head>(?<=[a-zA-Z0-9+.-])://[^\s:/@]*:)[^\s/]+(?=@)"), rf"\g<head>{MASK}"),
    (re.compile(r"(?i)\b(?P<head>(?:proxy-)?authorization\s*[:=]\s*)(?:[a-z]+\s+)?\S+"), rf"\g<head>{MASK}"),
    (re.compile(r"(?i)\b(?P<head>bearer\s+)[a-z0-9._~+/=-]{8,}"), rf"\g<head>{MASK}"),
    (
        re.compile(
            r"(?i)(?P<head>(?:passw(?:or)?d|pwd|secret(?!smanager:)|token|(?:api|access|routing)[_-]?key)"
            r"[\w.-]{0,64}[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&}]+"
        ),
        rf"\g<head>{MASK}",
    ),
    (re.compile(r"https://hooks\.slack\.com/\S+"), f"https://hooks.slack.com/{MASK}"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]+"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
)


class Redactor:
    """Removes known secret values, however they are encoded, and whatever looks like one.

    `known` values shorter than 4 characters are ignored.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {form for value in known if len(value) >= 4 for form in _forms(value)}

    def __call__(self, text: str) -> str:
        found = sorted((form for form in self._known if form in text), key=len, reverse=True)
        if found:
            text = re.sub("|".join(map(re.escape, found)), MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _forms(value: str) -> set[str]:
    """How a value may appear: as it is, in URLs, JSON, HTML, Python's quotes, and in base64 with others around it."""
    data = value.encode("utf-8", "surrogatepass")
    plain = {value, quote(data, safe=""), quote(data), quote_plus(data), html.escape(value), repr(value)[1:-1]}
    plain |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return plain | {form for before in range(3) for form in _base64(data, before)}


def _base64(data: bytes, before: int) -> set[str]:
    """What is the same in base64 whatever stands around, after a multiple of three bytes and `before` more."""
    text = base64.b64encode(b"\0" * before + data).decode()[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
    return {text, text.translate(_URL_SAFE)} if len(text) >= _BASE64_LEAST else set()


# name@host.tld; not the user of an address such as ssh://git@host.tld
_EMAIL = re.compile(r"(?<![\w.%+/-])(?P<first>[A-Za-z0-9])[\w.%+-]*@(?P<host>(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})\b")
# fifteen or sixteen digits as cards have them; longer and other numbers are times, orders, digests
_CARD = re.compile(r"(?<![\w-])(?<!\d\.)[3-6]\d{3}(?:[ -]?\d){11,12}(?![\w-]|\.\d)")


def mask_personal(text: str) -> str:
    """Mail addresses but for their first letter and host, and numbers of payment cards but for their last four.

    What production says may hold its users' data; who reads an incident needs to know that, not whose.
    """
    if "@" in text:
        text = _EMAIL.sub(r"\g<first>***@\g<host>", text)
    return _CARD.sub(_card, text)


def _card(found: re.Match[str]) -> str:
    digits = [int(letter) for letter in found.group() if letter.isdigit()]
    doubled = [d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits))]
    return f"{MASK}{''.join(map(str, digits[-4:]))}" if sum(doubled) % 10 == 0 else found.group()
