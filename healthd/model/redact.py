"""Keeping secrets out of everything a person or a file may see."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "<redacted>"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@host in any URL; the user stays, it helps to find the mistake
    (re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)"), rf"\g<head>{MASK}"),
    (re.compile(r"(?i)\b(?P<head>(?:proxy-)?authorization\s*[:=]\s*)(?:[a-z]+\s+)?\S+"), rf"\g<head>{MASK}"),
    (re.compile(r"(?i)\b(?P<head>bearer\s+)[a-z0-9._~+/=-]{8,}"), rf"\g<head>{MASK}"),
    (
        re.compile(
            r"(?i)(?P<head>\b[\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|routing[_-]?key)"
            r"[\w.-]*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&}]+"
        ),
        rf"\g<head>{MASK}",
    ),
    (re.compile(r"https://hooks\.slack\.com/\S+"), f"https://hooks.slack.com/{MASK}"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]+"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
)


class Redactor:
    """Removes known secret values and whatever looks like one. `known` values shorter than 4 characters are ignored."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        values = sorted({v for v in known if len(v) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, values))) if values else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


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
