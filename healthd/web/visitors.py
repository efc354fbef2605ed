"""Who sends a request: address, scheme, host and person, as told by proxies that are trusted and by other replicas.

What a header says is believed only if it comes from a network of HEALTHD_TRUSTED_PROXIES. A replica that stands by
passes on what it found, signed with what only replicas know.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from healthd.settings import Settings
from healthd.web.problem import RequestError

FORWARDED = "x-healthd-forwarded"
FRESH = timedelta(minutes=2)  # how old what a replica passed on may be; their clocks may differ
MAX_HOPS = 20
MAX_NAME = 254  # what a mail address may be long
MAX_GROUPS = 1_000
GOOGLE = "x-goog-authenticated-user-email"  # says accounts.google.com:ada@example.com

log = structlog.get_logger("healthd.web")


@dataclass(frozen=True, slots=True)
class Visitor:
    """`address` of whoever asks; `host` as they call us, with its port; `user` "" where no proxy says who it is."""

    address: str
    https: bool
    host: str
    user: str = ""
    groups: tuple[str, ...] = ()


class Reception:
    """Finds out who a visitor is."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._trusted = settings.trusted_proxies
        self._user_header, self._groups_header = settings.proxy_user_header, settings.proxy_groups_header
        self._editors = tuple(word.casefold() for word in settings.editors)
        self._public = urlsplit(settings.public_url)
        self._key = hmac.digest(key, b"healthd replicas", "sha256")
        self._has_warned = False

    @property
    def knows_people(self) -> bool:
        """Whether a proxy says who people are."""
        return bool(self._user_header)

    @property
    def passed_on(self) -> tuple[str, ...]:
        """Headers that a replica does not pass on as they are: `pass_on` has what they say, if it may be believed."""
        return tuple(filter(None, (self._user_header, self._groups_header)))

    def visitor(self, scope: Scope, now: datetime) -> Visitor:
        """Raises RequestError 400 for a proxy that lets others speak in its name."""
        headers = Headers(scope=scope)
        if (passed := self._passed(scope, headers, now)) is not None:
            return passed
        peer = scope["client"][0] if scope.get("client") else ""
        trusted = self.trusts(peer)
        host = _last(headers, "x-forwarded-host") if trusted else ""
        host = host or headers.get("host", "")
        return Visitor(
            address=self._address(peer, headers) if trusted else plain(peer),
            https=self._is_https(scope, headers, trusted, host),
            host=host,
            user=self._user(headers, peer, trusted),
            groups=self._groups(headers) if trusted else (),
        )

    def trusts(self, address: str) -> bool:
        """Whether a proxy may come from there."""
        found = _ip(address)
        return found is not None and any(found in network for network in self._trusted)

    def may_change(self, visitor: Visitor) -> bool:
        """Whether a person whom a proxy knows may change something."""
        if not visitor.user or not self._editors:
            return bool(visitor.user)
        names = (visitor.user.casefold(), *(f"group:{group.casefold()}" for group in visitor.groups))
        return any(fnmatchcase(name, pattern) for pattern in self._editors for name in names)

    # -- proxies ---------------------------------------------------------------------------------------------------

    def _address(self, peer: str, headers: Headers) -> str:
        """The last address that no trusted proxy has: whatever stands before it, its sender may have made up."""
        found = peer
        hops = [hop for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
        for hop in reversed(hops[-MAX_HOPS:]):
            given = _ip(hop)
            if given is None:
                break
            found = str(given)
            if not self.trusts(found):
                break
        return plain(found)

    def _is_https(self, scope: Scope, headers: Headers, trusted: bool, host: str) -> bool:
        if scope["scheme"] == "https" or (trusted and _last(headers, "x-forwarded-proto").lower() == "https"):
            return True
        return self._public.scheme == "https" and host.lower() == self._public.netloc.lower()

    def _user(self, headers: Headers, peer: str, trusted: bool) -> str:
        given = headers.getlist(self._user_header) if self._user_header else []
        if not trusted:
            if given and not self._has_warned:
                self._has_warned = True
                log.warning(
                    "identity_ignored", header=self._user_header, address=plain(peer),
                    reason="it does not come from HEALTHD_TRUSTED_PROXIES; said once",
                )  # fmt: skip
            return ""
        if len(given) > 1:
            hint = "the proxy must replace what its clients send in this header"
            raise RequestError(400, f"{self._user_header} came more than once", hint)
        name = _text(given[0]).strip() if given else ""
        name = name.rpartition(":")[2] if self._user_header == GOOGLE else name
        if len(name) > MAX_NAME or not name.isprintable():
            raise RequestError(400, f"{self._user_header} holds no name")
        return name

    def _groups(self, headers: Headers) -> tuple[str, ...]:
        lines = headers.getlist(self._groups_header) if self._groups_header else []
        words = (_text(word).strip() for line in lines for word in line.split(","))
        return tuple(word for word in words if word)[:MAX_GROUPS]

    # -- replicas --------------------------------------------------------------------------------------------------

    def pass_on(self, visitor: Visitor, method: str, path: str, now: datetime) -> str:
        """What `visitor` of another replica takes, for this one request."""
        body = urlsafe_b64encode(json.dumps(asdict(visitor)).encode()).decode()
        at = str(int(now.timestamp()))
        return f"{at}.{body}.{self._sign(at, method, path, body)}"

    def _passed(self, scope: Scope, headers: Headers, now: datetime) -> Visitor | None:
        at, _, rest = headers.get(FORWARDED, "").partition(".")
        body, _, signature = rest.partition(".")
        expected = self._sign(at, scope["method"], scope["path"], body)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            return None
        if abs(now.timestamp() - int(at)) > FRESH.total_seconds():
            return None
        said: Mapping[str, object] = json.loads(urlsafe_b64decode(body))
        groups = said["groups"]
        assert isinstance(groups, list)
        return Visitor(str(said["address"]), bool(said["https"]), str(said["host"]), str(said["user"]), tuple(groups))

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, json.dumps(parts).encode(), "sha256").hexdigest()


def plain(address: str) -> str:
    """An address as it is written: an IPv4 one within IPv6 as IPv4."""
    found = _ip(address)
    return str(found) if found else address


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """Of 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1]:4711; None for anything else."""
    word = text.strip().strip('"')
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        found = ip_address(word.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _last(headers: Headers, name: str) -> str:
    """Of a list: what the nearest proxy says."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _text(value: str) -> str:
    """Names are sent as UTF-8; headers are read as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
