"""Commands that ask a running daemon through its API."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import click
import httpx

from healthd.cli.common import Refused, settings_or_refuse
from healthd.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
PATIENCE = 30.0  # seconds
FOREIGN = "what answers there is not healthd's API; --url says where that is"
KINDS = ("application/json", "application/problem+json", "text/markdown")  # what the API answers
_NUMBER = re.compile(r"^\[[^]]*\] ")  # of an error: [Errno 111]
PAGE, MOST = 500, 10_000  # entries of a list: in one answer, and altogether


def url_option(function: F) -> F:
    """`--url`: which daemon is asked."""
    return click.option("--url", help="The daemon's address (default: http://HEALTHD_HOST:HEALTHD_PORT).")(function)


def by_option(function: F) -> F:
    """`--by`: who does it, for the audit log."""
    return click.option("--by", "actor", envvar="USER", default="cli", help="Who (default: $USER).")(function)


def get(path: str, parameters: Mapping[str, str] | None = None, url: str | None = None) -> httpx.Response:
    """What the daemon's API answers at `path` (below /api/v1). Refused when it does not answer, or answers an error."""
    return call("GET", path, url, params=dict(parameters or {}))


def post(path: str, body: Mapping[str, Any], url: str | None = None) -> httpx.Response:
    """As `get`, for what changes something."""
    return call("POST", path, url, json=dict(body))


def every(path: str, parameters: Mapping[str, str], url: str | None = None, most: int = MOST) -> list[dict[str, Any]]:
    """At most `most` entries of a list, however many pages that takes."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while len(found) < most:
        said = get(path, {**parameters, **after, "limit": str(min(PAGE, most - len(found)))}, url).json()
        if not isinstance(said, dict) or "next" not in said:
            raise Refused(FOREIGN)
        found += said[path.strip("/")]
        if not said["next"]:
            break
        after = {"after": said["next"]}
    return found


def part(text: str, what: str) -> str:
    """What somebody typed, as one part of a path. Refused when it cannot be one."""
    if "/" in text or not text.strip("."):
        raise Refused(f"{text!r} is no {what}")
    return quote(text, safe="")


def given(**fields: str) -> dict[str, str]:
    """Those that say something: what is left out has its default."""
    return {name: text for name, text in fields.items() if text}


def call(method: str, path: str, url: str | None = None, **request: Any) -> httpx.Response:
    """One request with the token of the settings, to this machine past any proxy. Refused when there is no answer, or
    it is an error."""
    settings = settings_or_refuse()
    scheme = "https" if settings.tls_cert else "http"
    base = (url or f"{scheme}://{settings.host}:{settings.port}").rstrip("/")
    headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"} if settings.token else {}
    try:
        answer = httpx.request(
            method, f"{base}/api/v1{path}", headers=headers, timeout=PATIENCE, verify=_trust(settings, url),
            trust_env=bool(url), **request,
        )  # fmt: skip
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise Refused(f"--url: {url!r} is not an address; write it like http://127.0.0.1:9780") from None
    except (httpx.HTTPError, OSError) as error:
        raise Refused(f"no answer from {base}: {_trouble(error)}") from None
    if not answer.headers.get("content-type", "").startswith(KINDS):
        raise Refused(f"{base} answers {answer.status_code}: {FOREIGN}")
    if not answer.is_success:
        raise Refused(_reason(answer))
    return answer


def _trouble(error: Exception) -> str:
    """Why there is no answer, and what would help."""
    said = _NUMBER.sub("", str(error)).removesuffix(".")
    if "[SSL" in str(error):
        return f"{said}; does it speak TLS, with a certificate that is trusted here?"
    if isinstance(error, httpx.ConnectError):
        return f"{said}; is `healthd run` running there?"
    if isinstance(error, httpx.TimeoutException):
        return f"none within {PATIENCE:.0f} s"
    return f"{said}; does it speak TLS? Then its address begins with https://"


def _trust(settings: Settings, url: str | None) -> ssl.SSLContext | bool:
    """Of this machine's own daemon the very certificate it has, whatever the name in it."""
    if url or not settings.tls_cert:
        return True
    from healthd.web.tls import pinned

    return pinned(settings.tls_cert.read_text())


@click.command(short_help="Acknowledge an open incident.")
@click.argument("incident_id")
@click.option("--note", default="", help="What you are doing about it.")
@click.option("--by", "actor", envvar="USER", default="cli", help="Who (default: $USER).")
@url_option
def ack(incident_id: str, note: str, actor: str, url: str | None) -> int:
    """Acknowledge an open incident, through the daemon's API (HEALTHD_TOKEN)."""
    try:
        post(f"/incidents/{part(incident_id, 'incident')}/acknowledge", {"actor": actor, "note": note}, url)
    except Refused as refused:
        raise Refused(f"{incident_id}: {refused.message}") from None
    click.echo(f"{incident_id}: acknowledged by {actor}")
    return 0


def _reason(answer: httpx.Response) -> str:
    """What the daemon says is wrong, and what would help."""
    try:
        said = answer.json()
        return "; ".join(str(said[key]) for key in ("error", "hint") if said.get(key))
    except (ValueError, KeyError, AttributeError):
        return f"the daemon answered {answer.status_code}"
