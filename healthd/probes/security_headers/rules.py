"""What each security header should say. Pure: headers in, findings out.

Follows RFC 6797 (HSTS), Content Security Policy Level 3, RFC 6265bis (cookies), Referrer Policy, and the Fetch
standard's nosniff.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

# A rule's share of the score. What is here but not among the defaults has to be asked for.
WEIGHTS: Mapping[str, int] = {
    "strict-transport-security": 3,
    "content-security-policy": 3,
    "x-content-type-options": 2,
    "x-frame-options": 2,
    "referrer-policy": 1,
    "cookies": 2,
    "banner": 1,
    "permissions-policy": 1,
    "cross-origin-opener-policy": 1,
}
DEFAULTS = tuple(WEIGHTS)[:7]
_TELLING = ("Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "X-Generator", "Via")
_LEAKING_REFERRERS = ("unsafe-url", "no-referrer-when-downgrade")
_REFERRERS = (
    "no-referrer", "same-origin", "origin", "strict-origin", "origin-when-cross-origin",
    "strict-origin-when-cross-origin", *_LEAKING_REFERRERS,
)  # fmt: skip
_OPENERS = ("same-origin", "same-origin-allow-popups", "noopener-allow-popups")


class Headers(Protocol):
    """Headers as a client has them: names in any case, several of one name."""

    def getall(self, key: str, default: list[str]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What is graded. `hsts_min_age` in seconds."""

    headers: Headers
    https: bool
    hsts_min_age: float

    def all(self, name: str) -> list[str]:
        """The values of every header of that name."""
        return self.headers.getall(name, [])


def hsts_max_age(subject: Subject) -> float | None:
    """Seconds that browsers are told to insist on TLS; None when they are not told."""
    values = subject.all("Strict-Transport-Security")
    match = (
        re.search(r"(?:^|;)\s*max-age\s*=\s*\"?(\d{1,15})\"?\s*(?:;|$)", values[0], re.IGNORECASE) if values else None
    )
    return float(match[1]) if match else None


def _hsts(subject: Subject) -> list[str]:
    if not subject.https:
        return ["the answer came over http, where browsers ignore it"]
    if not subject.all("Strict-Transport-Security"):
        return ["missing"]
    age = hsts_max_age(subject)
    if age is None:
        return ["has no max-age"]
    wanted = subject.hsts_min_age
    return [f"max-age is {age / 86400:.3g} days, expected at least {wanted / 86400:.3g}"] if age < wanted else []


def policies(subject: Subject) -> list[dict[str, list[str]]]:
    """Every Content-Security-Policy in force, by directive; the first of a name counts."""
    found = []
    for text in ",".join(subject.all("Content-Security-Policy")).split(","):
        policy: dict[str, list[str]] = {}
        for directive in text.split(";"):
            name, *sources = directive.lower().split() or [""]
            if name:
                policy.setdefault(name, sources)
        if policy:
            found.append(policy)
    return found


def _csp(subject: Subject) -> list[str]:
    every = policies(subject)
    if not every:
        only = subject.all("Content-Security-Policy-Report-Only")
        return ["only reports (Content-Security-Policy-Report-Only), and blocks nothing" if only else "missing"]
    # every policy must let a script through: one that is strict is enough
    weak = [_weak_scripts(policy) for policy in every]
    return min(weak, key=len)


def _weak_scripts(policy: Mapping[str, list[str]]) -> list[str]:
    sources = policy.get("script-src", policy.get("default-src"))
    if sources is None:
        return ["restricts no scripts: neither script-src nor default-src"]
    trusted = any(s.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for s in sources)
    problems = []
    if "'unsafe-inline'" in sources and not trusted:  # beside a nonce or hash browsers ignore it
        problems.append("allows 'unsafe-inline' scripts")
    if "'unsafe-eval'" in sources:
        problems.append("allows 'unsafe-eval'")
    if "'strict-dynamic'" not in sources and (wide := [s for s in sources if s in ("*", "http:", "https:", "data:")]):
        problems.append(f"allows scripts from {' '.join(wide)}")
    return problems


def _nosniff(subject: Subject) -> list[str]:
    values = subject.all("X-Content-Type-Options")
    if not values:
        return ["missing"]
    first = values[0].split(",")[0].strip()
    return [] if first.lower() == "nosniff" else [f"is {first}, expected nosniff"]


def _framing(subject: Subject) -> list[str]:
    ancestors = [policy["frame-ancestors"] for policy in policies(subject) if "frame-ancestors" in policy]
    if ancestors:
        return [] if any("*" not in sources for sources in ancestors) else ["frame-ancestors allows everyone"]
    values = {v.strip().lower() for text in subject.all("X-Frame-Options") for v in text.split(",")}
    if not values:
        return ["missing, and the policy has no frame-ancestors"]
    return [] if values & {"deny", "sameorigin"} else [f"is {', '.join(sorted(values))}, expected DENY or SAMEORIGIN"]


def _referrer(subject: Subject) -> list[str]:
    words = [w.strip().lower() for text in subject.all("Referrer-Policy") for w in text.split(",")]
    known = [word for word in words if word in _REFERRERS]
    if not known:
        return [f"is {', '.join(words)}, which means nothing" if words else "missing"]
    return [f"is {known[-1]}: other sites see full addresses"] if known[-1] in _LEAKING_REFERRERS else []


def _cookies(subject: Subject) -> list[str]:
    problems = []
    for cookie in subject.all("Set-Cookie"):
        head, *attributes = cookie.split(";")
        name = head.split("=", 1)[0].strip()
        given = {a.split("=", 1)[0].strip().lower(): a.partition("=")[2].strip().lower() for a in attributes}
        lacking = [word for word in ("Secure", "HttpOnly") if word.lower() not in given]
        if given.get("samesite") not in ("lax", "strict", "none"):
            lacking.append("SameSite")
        if lacking:
            problems.append(f"{name} has no {', '.join(lacking)}")
        elif given["samesite"] == "none" and "partitioned" not in given:
            problems.append(f"{name} is sent along from other sites: SameSite=None")
    return problems


def _banner(subject: Subject) -> list[str]:
    """A version tells which holes to try. Via has one by its nature: only what follows it counts."""
    problems = []
    for name in _TELLING:
        for value in subject.all(name):
            text = (
                re.sub(r"(?:^|,\s*)(?:HTTP/)?\d(?:\.\d)?\s+", "", value, flags=re.IGNORECASE)
                if name == "Via"
                else value
            )
            if re.search(r"[/ (v]\d+(\.\d+)+|^\d+(\.\d+)+", text):
                problems.append(f"{name} tells a version: {value}")
            elif name == "X-Powered-By":
                problems.append(f"{name} tells what it runs on: {value}")
    return problems


def _permissions(subject: Subject) -> list[str]:
    return [] if subject.all("Permissions-Policy") else ["missing"]


def _opener(subject: Subject) -> list[str]:
    values = [v.split(";")[0].strip().lower() for v in subject.all("Cross-Origin-Opener-Policy")]
    if not values:
        return ["missing"]
    return [] if values[0] in _OPENERS else [f"is {values[0]}"]


_RULES: Mapping[str, Callable[[Subject], list[str]]] = {
    "strict-transport-security": _hsts,
    "content-security-policy": _csp,
    "x-content-type-options": _nosniff,
    "x-frame-options": _framing,
    "referrer-policy": _referrer,
    "cookies": _cookies,
    "banner": _banner,
    "permissions-policy": _permissions,
    "cross-origin-opener-policy": _opener,
}


def grade(subject: Subject, wanted: tuple[str, ...]) -> dict[str, list[str]]:
    """Each rule with what is wrong; nothing wrong is an empty list."""
    return {name: _RULES[name](subject) for name in wanted}


def score(findings: Mapping[str, list[str]]) -> float:
    """The weight of what is right, as a ratio of all."""
    total = sum(WEIGHTS[name] for name in findings)
    return sum(WEIGHTS[name] for name, problems in findings.items() if not problems) / total


def letter(ratio: float) -> str:
    """A for at least 95 %, B 80 %, C 65 %, D 50 %, E 30 %, otherwise F."""
    return next(
        (word for least, word in ((0.95, "A"), (0.8, "B"), (0.65, "C"), (0.5, "D"), (0.3, "E")) if ratio >= least), "F"
    )
