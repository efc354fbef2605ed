"""What a redirected request takes along, and what stays behind."""

from __future__ import annotations

import pytest

from healthd.probes.http.params import HttpParams
from healthd.probes.http.request import RedirectError

KEY = {"X-Key": "secret-1"}


@pytest.mark.parametrize(
    ("url", "location", "kept"),
    [
        ("http://a.example/", "/next", True),
        ("http://a.example/", "http://a.example:80/next", True),
        ("http://a.example/", "https://a.example/next", True),
        ("https://a.example/", "http://a.example/next", False),
        ("http://a.example:8080/", "https://a.example/next", False),
        ("https://a.example/", "https://a.example:8443/", False),
        ("https://a.example/", "https://b.a.example/", False),
        ("https://a.example/", "//evil.example/", False),
        ("https://a.example/", "https://a.example@evil.example/", False),
    ],
)
def test_secrets_stay_with_their_origin(url: str, location: str, kept: bool) -> None:
    request = HttpParams(url=url, headers=KEY, auth={"bearer": "token-123456"}).request
    followed = request.redirected(302, location, {})
    assert ("X-Key" in followed.headers) is kept
    assert ("Authorization" in followed.headers) is kept
    assert followed.headers["User-Agent"].startswith("healthd/")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "//metadata.google.internal/computeMetadata/v1/",
        "http://2852039166/",
    ],
)
def test_what_is_looked_at_cannot_send_a_look_to_the_clouds_credentials(location: str) -> None:
    request = HttpParams(url="http://a.example/").request
    with pytest.raises(RedirectError, match="where clouds keep credentials"):
        request.redirected(302, location, {})
    there = HttpParams(url="http://169.254.169.254/").request  # a check may look there
    assert there.redirected(302, "/latest", {}).url.path == "/latest"


@pytest.mark.parametrize(
    ("method", "status", "followed"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_methods(method: str, status: int, followed: str) -> None:
    request = HttpParams(url="http://a.example/", method=method, body_json={"a": 1}).request
    after = request.redirected(status, "/next", {})
    assert after.method == followed
    assert (after.body is not None) is (followed == method)
    assert ("Content-Type" in after.headers) is (after.body is not None)


def test_cookies_go_to_the_same_host_only() -> None:
    request = HttpParams(url="http://a.example/", headers={"Cookie": "mine=1"}).request
    assert request.redirected(302, "/b", {"s": "2"}).headers["Cookie"] == "mine=1; s=2"
    assert "Cookie" not in request.redirected(302, "http://b.example/", {"s": "2"}).headers


@pytest.mark.parametrize("location", ["ftp://a.example/", "javascript:alert(1)", "http://[bad", "mailto:a@b"])
def test_redirects_that_cannot_be_followed(location: str) -> None:
    request = HttpParams(url="http://a.example/").request
    with pytest.raises(RedirectError, match="redirect to"):
        request.redirected(302, location, {})


def test_shown_urls_hold_no_secrets() -> None:
    request = HttpParams(url="https://user:pass-word@a.example/x?key=abcdefgh#part").request
    assert request.shown == "https://a.example/x?..."
    assert request.redact("it said pass-word and abcdefgh") == "it said <redacted> and <redacted>"
