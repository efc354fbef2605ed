"""Who may do what: the token, sessions, forms from elsewhere, and reading when it is closed."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.component.web.conftest import catalogue, seen
from tests.e2e.daemon import TOKEN, Daemon
from tests.servers.receiver import Receiver

CHANGES = ["/api/v1/checks/shop/drill/run", "/api/v1/incidents/INC-1/acknowledge", "/-/reload"]


def signed_in(client: httpx.Client, name: str = "ada") -> httpx.Client:
    answer = client.post("/sign-in", data={"token": TOKEN, "name": name, "next": "/checks/shop/drill"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/checks/shop/drill")
    return client


def form_key(client: httpx.Client, path: str = "/checks/shop/drill") -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', client.get(path).text)
    assert found, "no form"
    return found[1]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "header", ["", "Bearer wrong", "Bearer", "Basic " + TOKEN, "Bearer ünïcode", f"Bearer {TOKEN}x"]
)
def test_nothing_changes_without_the_token(stranger: httpx.Client, path: str, header: str) -> None:
    answer = stranger.post(path, headers=[(b"Authorization", header.encode())] if header else [])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="healthd"'
    assert "Authorization: Bearer" in answer.json()["hint"]
    assert TOKEN not in answer.text


def test_reading_stays_open_by_default(stranger: httpx.Client) -> None:
    for path in ("/", "/checks/shop/api", "/api/v1/checks", "/metrics", "/readyz"):
        assert stranger.get(path).status_code == 200


def test_a_session_runs_a_check_in_its_own_name(daemon: Daemon, stranger: httpx.Client) -> None:
    assert "Sign in to run it now" in stranger.get("/checks/shop/drill").text
    cookie = signed_in(stranger, "Ada <b>").cookies.jar
    [stored] = list(cookie)
    assert stored.has_nonstandard_attr("HttpOnly")
    assert stored.get_nonstandard_attr("SameSite").lower() == "strict"  # type: ignore[union-attr]
    answer = stranger.post("/checks/shop/drill/run", data={"form_key": form_key(stranger)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/checks/shop/drill")
    newest = daemon.get("/api/v1/audit?limit=1")["entries"][0]
    assert (newest["actor"], newest["action"]) == ("Ada <b>", "run")
    stranger.post("/sign-out", data={"form_key": form_key(stranger)})
    assert "Sign in to run it now" in stranger.get("/checks/shop/drill").text


def test_an_incident_is_acknowledged_on_its_page(daemon: Daemon, stranger: httpx.Client, broken: str) -> None:
    page = f"/incidents/{broken}"
    key = form_key(signed_in(stranger), page)
    answer = stranger.post(f"{page}/acknowledge", data={"form_key": key, "note": "<i>on it</i>"})
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    shown = stranger.get(page).text
    assert "acknowledged by ada: &lt;i&gt;on it&lt;/i&gt;" in shown
    assert daemon.get(f"/api/v1/incidents/{broken}")["acknowledged_by"] == "ada"


@pytest.mark.parametrize(
    ("headers", "key", "status"),
    [
        ({"Origin": "https://evil.example"}, None, 403),
        ({"Origin": "null"}, None, 403),
        ({"Sec-Fetch-Site": "cross-site"}, None, 403),
        ({"Sec-Fetch-Site": "same-site"}, None, 403),
        ({}, "wrong", 403),
        ({}, "", 403),
        ({}, "ünïcode", 403),
    ],
)
def test_a_form_from_elsewhere_changes_nothing(
    daemon: Daemon, stranger: httpx.Client, headers: dict[str, str], key: str | None, status: int
) -> None:
    right = form_key(signed_in(stranger))
    before = daemon.get("/api/v1/audit?limit=1")["entries"]
    data = {"form_key": right if key is None else key}
    answer = stranger.post("/checks/shop/drill/run", data=data, headers=headers)
    assert answer.status_code == status
    assert daemon.get("/api/v1/audit?limit=1")["entries"] == before


@pytest.mark.parametrize(
    "cookie", ["", "x", "9999999999.YWRh.0000", "a.b.c", "..", "9999999999.YWRh." + "0" * 64, "%00", "é"]
)
def test_a_made_up_session_is_none(stranger: httpx.Client, cookie: str) -> None:
    headers = [(b"Cookie", f"healthd_session={cookie}".encode())]
    assert stranger.get("/checks/shop/drill", headers=headers).status_code == 200
    answer = stranger.post("/checks/shop/drill/run", data={"form_key": "x"}, headers=headers)
    assert answer.status_code == 401


def test_signing_out_ends_the_session_wherever_its_cookie_is(daemon: Daemon, stranger: httpx.Client) -> None:
    signed_in(stranger)
    key, kept = form_key(stranger), dict(stranger.cookies)
    stranger.post("/sign-out", data={"form_key": key})
    assert not dict(stranger.cookies)
    with httpx.Client(base_url=daemon.url, cookies=kept) as thief:
        assert "Sign in to run it now" in thief.get("/checks/shop/drill").text
        assert thief.post("/checks/shop/drill/run", data={"form_key": key}).status_code == 401
    newest = daemon.get("/api/v1/audit?limit=1")["entries"][0]
    assert (newest["actor"], newest["action"], newest["target"]) == ("ada", "sign out", "127.0.0.1")


def test_an_address_that_is_wrong_too_often_has_to_wait(daemon: Daemon) -> None:
    guesser = httpx.HTTPTransport(local_address="127.0.0.66")
    with httpx.Client(base_url=daemon.url, transport=guesser) as client:
        answers = [client.post("/-/reload", headers={"Authorization": f"Bearer {n}"}) for n in range(25)]
        assert answers[0].status_code == 401
        refused = answers[-1]
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        page = client.post("/sign-in", data={"token": TOKEN, "name": "eve", "next": "/"})
        assert (page.status_code, "retry-after" in page.headers) == (429, True)
        assert "Too many wrong tokens" in page.text
        assert client.get("/checks/shop/drill").status_code == 200  # reading is open
    assert (
        daemon.http.get("/api/v1/audit?action=sign+in+refused&limit=1").json()["entries"][0]["target"] == "127.0.0.66"
    )
    assert signed_in(httpx.Client(base_url=daemon.url)).cookies  # another address


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9780", "127.0.0.1.evil.example", "localhost.evil", "[::1"]
)
def test_another_sites_name_for_this_address_is_refused(stranger: httpx.Client, host: str) -> None:
    for path in ("/", "/api/v1/checks", "/metrics"):
        answer = stranger.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert "HEALTHD_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:9780", "127.0.0.1", "[::1]:9780", "10.2.3.4:9780", "healthd.localhost", "LOCALHOST."]
)
def test_its_own_names_and_addresses_are_taken(stranger: httpx.Client, host: str) -> None:
    assert stranger.get("/api/v1/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN.upper(), "ü" * 500])
def test_a_wrong_token_opens_no_session(stranger: httpx.Client, token: str) -> None:
    answer = stranger.post("/sign-in", data={"token": token, "name": "eve", "next": "/"})
    assert answer.status_code == 403
    assert "That is not the token" in answer.text
    assert "set-cookie" not in answer.headers
    assert not token or token not in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/\r\nX: y"]
)
def test_signing_in_leads_to_no_other_site(stranger: httpx.Client, target: str) -> None:
    answer = stranger.post("/sign-in", data={"token": TOKEN, "name": "ada", "next": target})
    assert answer.headers["location"] == "/"


def test_a_form_that_is_none_is_refused(stranger: httpx.Client) -> None:
    fields = {"token": TOKEN, "name": "eve", "next": "/"}
    multipart = {name: (None, value) for name, value in fields.items()}
    for answer in (stranger.post("/sign-in", json=fields), stranger.post("/sign-in", files=multipart)):
        assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    plain = stranger.post("/sign-in", content=f"token={TOKEN}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 400
    body = {"content": b"token=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    assert stranger.post("/sign-in", **body).status_code in (400, 403)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Reading needs the token too."""
    with Receiver() as server:
        daemon = Daemon(tmp_path_factory.mktemp("closed"), catalogue(server.url), read_open="false")
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop(signal.SIGKILL)
            daemon.http.close()


def test_reading_can_be_closed_but_not_to_monitors(closed: Daemon) -> None:
    with httpx.Client(base_url=closed.url) as client:
        for path in ("/metrics", "/healthz", "/readyz", "/static/healthd.css", "/sign-in"):
            assert client.get(path).status_code == 200
        for path in ("/", "/checks/shop/api", "/incidents", "/api/v1/checks", "/api/docs", "/api/openapi.json", "/x"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert "shop" not in answer.text.replace("/checks/shop/api", "")
        shown = client.get("/incidents")
        assert 'name="token"' in shown.text
        assert 'value="/incidents"' in shown.text
        client.post("/sign-in", data={"token": TOKEN, "name": "ada", "next": "/"})
        assert client.get("/").status_code == 200
        assert client.get("/api/v1/checks").status_code == 200
    assert closed.get("/api/v1/checks")["total"] == 6


def test_without_a_token_nothing_can_be_changed_and_it_says_what_to_set(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Receiver() as server:
        daemon = Daemon(tmp_path_factory.mktemp("tokenless"), catalogue(server.url), token="", read_open="false")
        try:
            daemon.start()
            daemon.until(lambda: seen(daemon, "cart"), what="looked at")
            for path in CHANGES:
                answer = daemon.http.post(path)
                assert answer.status_code == 403
                assert "HEALTHD_TOKEN" in answer.json()["hint"]
            assert daemon.http.get("/sign-in").status_code == 403
            assert daemon.http.post("/sign-in", data={"token": "", "name": "eve"}).status_code == 403
            page = daemon.http.get("/checks/shop/cart").text
            assert "set HEALTHD_TOKEN" in page
            assert "<form" not in page
        finally:
            daemon.stop(signal.SIGKILL)
            daemon.http.close()
