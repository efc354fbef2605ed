"""Sessions, wrong tokens, and what of a request's headers is believed: by table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.settings import SettingsError, load_settings
from healthd.web.pages.session import local_target
from healthd.web.problem import RequestError
from healthd.web.sessions import REFRESH, Sessions
from healthd.web.throttle import Throttle, neighbourhood
from healthd.web.visitors import FORWARDED, FRESH, Reception, Visitor

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROXY = {"HEALTHD_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8", "HEALTHD_PROXY_USER_HEADER": "X-Auth-Request-Email"}


def sessions(key: bytes = b"key") -> Sessions:
    return Sessions(key, lifetime=12 * HOUR, idle=2 * HOUR)


def reception(**environment: str) -> Reception:
    settings = load_settings(PROXY | {f"HEALTHD_{name.upper()}": value for name, value in environment.items()})
    return Reception(settings, b"key")


def scope(peer: str = "10.1.2.3", **headers: str | bytes) -> dict[str, object]:
    raw = [
        (name.replace("_", "-").encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    ]
    return {
        "type": "http", "method": "GET", "path": "/", "scheme": "http", "client": (peer, 1), "headers": raw,
    }  # fmt: skip


def test_a_session_ends_when_nothing_is_done_and_in_the_end_anyway() -> None:
    ours = sessions()
    cookie = ours.begin("ada", NOW)
    assert ours.read(cookie, NOW + 2 * HOUR - REFRESH) is not None
    assert ours.read(cookie, NOW + 2 * HOUR) is None
    at = NOW
    while (ticket := ours.read(cookie, at)) is not None:  # something is done every hour
        assert ticket.name == "ada"
        cookie = ours.seen(ticket, at) or cookie
        at += HOUR
    assert at == NOW + 12 * HOUR


def test_a_new_token_ends_every_session() -> None:
    cookie = sessions().begin("ada", NOW)
    assert sessions().read(cookie, NOW) is not None  # of another replica
    assert sessions(b"another").read(cookie, NOW) is None


@given(st.text())
def test_what_is_no_cookie_of_ours_is_none(cookie: str) -> None:
    assert sessions().read(cookie, NOW) is None


def test_no_part_of_a_cookie_can_be_changed() -> None:
    ours = sessions()
    cookie = ours.begin("ada", NOW)
    parts = cookie.split(".")
    for index in range(len(parts)):
        changed = [*parts[:index], parts[index][:-1] + ("0" if parts[index][-1:] != "0" else "1"), *parts[index + 1 :]]
        assert ours.read(".".join(changed), NOW) is None


def test_wrong_tokens_are_slowed_down_and_time_heals() -> None:
    throttle = Throttle(burst=3, every=10)
    for _ in range(3):
        assert throttle.wait("a", NOW) == 0
        throttle.take("a", NOW)
    assert throttle.wait("a", NOW) == 10
    assert throttle.wait("b", NOW) == 0
    assert throttle.wait("a", NOW + timedelta(seconds=4)) == pytest.approx(6)
    assert throttle.wait("a", NOW + timedelta(seconds=10)) == 0


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    throttle = Throttle(burst=1, every=10, most=100)
    for number in range(1000):
        throttle.take(str(number), NOW)
    assert len(throttle) == 100
    assert throttle.wait("999", NOW) > 0


@pytest.mark.parametrize(
    ("address", "known_as"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", ""), ("odd", "odd")],
)
def test_an_address_is_one_customer(address: str, known_as: str) -> None:
    assert neighbourhood(address) == known_as


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),  # nobody we trust
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the first one its sender made up
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),  # two proxies
        ("10.1.2.3", "unknown, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "203.0.113.9:4711", "203.0.113.9"),
        ("10.1.2.3", '"[2001:db8::1]:4711"', "2001:db8::1"),
        ("::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "", "fd00::1"),
        ("10.1.2.3", "<script>", "10.1.2.3"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_address_is_the_last_one_that_no_proxy_has(peer: str, forwarded: str, address: str) -> None:
    assert reception().visitor(scope(peer, x_forwarded_for=forwarded), NOW).address == address


@pytest.mark.parametrize(
    ("peer", "headers", "https"),
    [
        ("192.0.2.7", {"x_forwarded_proto": "https"}, False),
        ("10.1.2.3", {"x_forwarded_proto": "https"}, True),
        ("10.1.2.3", {"x_forwarded_proto": "http, HTTPS"}, True),
        ("10.1.2.3", {"x_forwarded_proto": "http"}, False),
        ("192.0.2.7", {"host": "healthd.example"}, True),  # HEALTHD_PUBLIC_URL says so
        ("192.0.2.7", {"host": "localhost:9780"}, False),
    ],
)
def test_whether_a_cookie_travels_over_tls(peer: str, headers: dict[str, str], https: bool) -> None:
    asked = reception(public_url="https://healthd.example").visitor(scope(peer, **headers), NOW)
    assert asked.https is https


@pytest.mark.parametrize(
    ("header", "value", "user"),
    [
        ("X-Auth-Request-Email", "ada@example.com", "ada@example.com"),
        ("Remote-User", "Zoë".encode(), "Zoë"),
        ("X-Goog-Authenticated-User-Email", "accounts.google.com:ada@example.com", "ada@example.com"),
        ("Cf-Access-Authenticated-User-Email", " ada@example.com ", "ada@example.com"),
        ("X-Auth-Request-Email", "", ""),
    ],
)
def test_names_are_read_as_proxies_write_them(header: str, value: str | bytes, user: str) -> None:
    asked = scope("10.1.2.3", **{header.lower(): value})
    assert reception(proxy_user_header=header).visitor(asked, NOW).user == user


@pytest.mark.parametrize("name", ["a" * 255, "ada\x1b[2J", "ada\u202e"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="holds no name"):
        reception().visitor(scope(x_auth_request_email=name), NOW)


@pytest.mark.parametrize(
    ("editors", "may"),
    [
        ("", True),
        ("*@example.com", True),
        ("ADA@Example.com", True),
        ("*@example.org", False),
        ("group:sre", True),
        ("group:s*", True),
        ("sre", False),  # a group is no name
        ("bob@example.com,group:ops", False),
    ],
)
def test_who_may_change_something(editors: str, may: bool) -> None:
    who = Visitor("192.0.2.1", True, "", "ada@example.com", ("sre", "staff"))
    assert reception(editors=editors).may_change(who) is may
    assert not reception(editors=editors).may_change(Visitor("192.0.2.1", True, ""))


def test_what_a_replica_passes_on_is_taken_once_it_is_signed_and_fresh() -> None:
    theirs, ours = reception(), reception()
    ada = Visitor("203.0.113.9", True, "healthd.example", "ada@example.com", ("sre",))
    signed = theirs.pass_on(ada, "GET", "/", NOW)
    asked = {**scope("192.0.2.7"), "headers": [(FORWARDED.encode(), signed.encode())]}
    assert ours.visitor(asked, NOW) == ada
    late = ours.visitor(asked, NOW + FRESH + timedelta(seconds=1))
    other = ours.visitor({**asked, "path": "/-/reload"}, NOW)
    for stranger in (late, other):
        assert (stranger.user, stranger.address) == ("", "192.0.2.7")


@given(st.binary(max_size=200))
def test_what_nobody_signed_is_nothing(value: bytes) -> None:
    asked = {**scope("192.0.2.7"), "headers": [(FORWARDED.encode(), value)]}
    assert reception().visitor(asked, NOW).user == ""


@given(st.text(alphabet="/\\.:@?#ab \t\r\n\u2028%"))
def test_nothing_leads_to_another_site(target: str) -> None:
    kept = local_target(target)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))
    assert kept.isprintable()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PROXY_USER_HEADER": "X-User"}, "set HEALTHD_TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "10.0.0.0/33"}, "neither a network"),
        ({"TRUSTED_PROXIES": "proxy.example"}, "neither a network"),
        ({"TRUSTED_PROXIES": "10.0.0.1", "PROXY_USER_HEADER": "Host"}, "says other things"),
        ({"TRUSTED_PROXIES": "10.0.0.1", "PROXY_USER_HEADER": "X User"}, "not the name of a header"),
        ({"EDITORS": "ada"}, "says nothing without HEALTHD_PROXY_USER_HEADER"),
        ({"TLS_KEY": "key.pem"}, "no HEALTHD_TLS_CERT"),
        ({"SESSION_IDLE": "1s"}, "SESSION_IDLE"),
    ],
)
def test_settings_that_make_no_sense_are_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings({f"HEALTHD_{name}": value for name, value in environment.items()})
