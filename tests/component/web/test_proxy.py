"""People whom an identity-aware proxy knows: a real nginx in front, and others who send the same headers."""

from __future__ import annotations

import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.component.web.conftest import Shop, catalogue
from tests.e2e.daemon import TOKEN, Daemon
from tests.servers.nginx import NginxServer

RUN = "/api/v1/checks/shop/drill/run"
PAGE = "/checks/shop/drill"
LOCATIONS = """
location / {
  auth_basic "staff"; auth_basic_user_file people;
  proxy_pass http://127.0.0.1:DAEMON; proxy_set_header Host $http_host; proxy_set_header Authorization "";
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Auth-Request-Email $remote_user@example.com;
  proxy_set_header X-Auth-Request-Groups "staff,$remote_user-team";
}
location /token/ {
  proxy_pass http://127.0.0.1:DAEMON/; proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Auth-Request-Email "";
}
"""


@pytest.fixture(scope="module")
def daemon(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Believes nginx, which comes from 127.0.0.1; everybody else comes from other addresses."""
    made = Daemon(
        tmp_path_factory.mktemp("behind"), catalogue(shop.server.url), read_open="false", reload_watch="false",
        trusted_proxies="127.0.0.1/32", proxy_user_header="X-Auth-Request-Email",
        proxy_groups_header="X-Auth-Request-Groups", editors="ada@*, group:carl-team",
    )  # fmt: skip
    try:
        yield made.start()
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()


@pytest.fixture(scope="module")
def proxy(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    folder: Path = tmp_path_factory.mktemp("proxy")
    (folder / "people").write_text("".join(f"{name}:{{PLAIN}}open-sesame\n" for name in ("ada", "bob", "carl")))
    server = NginxServer(folder, LOCATIONS.replace("DAEMON", str(daemon.port))).start()
    yield server
    server.stop()


def browser(proxy: NginxServer, name: str = "ada") -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(proxy.ca_file))
    return httpx.Client(base_url=proxy.tls_url, auth=(name, "open-sesame"), verify=trusted, timeout=10)


def elsewhere(daemon: Daemon, address: str, **more: str) -> httpx.Client:
    """A client at another address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=daemon.url, transport=transport, headers=more, timeout=10)


def newest(daemon: Daemon) -> dict[str, str]:
    entry: dict[str, str] = daemon.get("/api/v1/audit?limit=1")["entries"][0]
    return entry


def form_key(page: str) -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', page)
    assert found, "no form"
    return found[1]


def test_a_person_whom_the_proxy_knows_reads_and_changes_in_their_own_name(daemon: Daemon, proxy: NginxServer) -> None:
    with browser(proxy) as ada:
        assert "ada@example.com" in ada.get("/").text
        assert ada.post(RUN).status_code == 200
        assert newest(daemon)["actor"] == "ada@example.com"
        spoofed = {"X-Auth-Request-Email": "eve@example.com"}  # replaced by the proxy
        assert ada.post(RUN, json={"actor": "mallory"}, headers=spoofed).status_code == 200
        assert newest(daemon)["actor"] == "ada@example.com (as mallory)"


def test_a_person_uses_the_page_without_signing_in(daemon: Daemon, proxy: NginxServer) -> None:
    with browser(proxy) as ada:
        key = form_key(ada.get(PAGE).text)
        own = {"Origin": proxy.tls_url, "Sec-Fetch-Site": "same-origin"}
        assert ada.post(f"{PAGE}/run", data={"form_key": key}, headers=own).status_code == 303
        assert newest(daemon)["actor"] == "ada@example.com"
        assert ada.post(f"{PAGE}/run", data={"form_key": "wrong"}, headers=own).status_code == 403
        with browser(proxy, "carl") as carl:  # another person's form
            assert carl.post(f"{PAGE}/run", data={"form_key": key}, headers=own).status_code == 403
            assert carl.post(RUN).status_code == 200  # an editor by group


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_another_site_cannot_use_the_proxys_cookie(
    daemon: Daemon, proxy: NginxServer, headers: dict[str, str], status: int
) -> None:
    before = newest(daemon)
    with browser(proxy) as ada:
        assert ada.post(RUN, content=b'{"actor": "eve"}', headers=headers).status_code == status
    assert newest(daemon) == before


def test_who_is_no_editor_only_reads(daemon: Daemon, proxy: NginxServer) -> None:
    with browser(proxy, "bob") as bob:
        page = bob.get(PAGE)
        assert page.status_code == 200
        assert "form_key" not in page.text
        for answer in (bob.post(RUN), bob.post("/-/reload"), bob.post(f"{PAGE}/run", data={"form_key": "x"})):
            assert answer.status_code == 403
            assert "ou may not change anything as bob@example.com" in answer.text


def test_who_is_no_editor_may_sign_in_with_the_token_and_stays_who_they_are(daemon: Daemon, proxy: NginxServer) -> None:
    with browser(proxy, "bob") as bob:
        assert bob.post("/sign-in", data={"token": TOKEN, "name": "root", "next": "/"}).status_code == 303
        key = form_key(bob.get(PAGE).text)
        assert bob.post(f"{PAGE}/run", data={"form_key": key}).status_code == 303
        assert newest(daemon)["actor"] == "bob@example.com"
        assert bob.post("/sign-out", data={"form_key": key}).status_code == 303
        assert "form_key" not in bob.get(PAGE).text


def test_the_header_of_anybody_else_is_nothing(daemon: Daemon) -> None:
    claims = {"X-Auth-Request-Email": "ada@example.com", "X-Forwarded-For": "127.0.0.1"}
    with elsewhere(daemon, "127.0.0.2", **claims) as eve:
        for _ in range(3):
            assert eve.get("/").status_code == 401
            assert eve.post(RUN).status_code == 401
    said = daemon.events("identity_ignored")
    assert [event["address"] for event in said] == ["127.0.0.2"]  # once
    claims = {"X-Healthd-Forwarded": "1.e30.00", **claims}
    with elsewhere(daemon, "127.0.0.2", **claims) as eve:
        assert eve.post(RUN).status_code == 401


def test_a_proxy_that_only_adds_its_header_is_found_out(daemon: Daemon) -> None:
    both = [("X-Auth-Request-Email", "eve@example.com"), ("X-Auth-Request-Email", "ada@example.com")]
    answer = httpx.post(daemon.url + RUN, headers=both)
    assert (answer.status_code, answer.json()["error"]) == (400, "x-auth-request-email came more than once")


def test_names_given_with_the_token_say_so(daemon: Daemon) -> None:
    with elsewhere(daemon, "127.0.0.3", Authorization=f"Bearer {TOKEN}") as script:
        assert script.post(RUN, json={"actor": "ada@example.com"}).status_code == 200
    assert newest(daemon)["actor"] == "ada@example.com (token)"


def test_who_signs_in_is_written_down_with_the_address_the_proxy_saw(daemon: Daemon, proxy: NginxServer) -> None:
    trusted = ssl.create_default_context(cafile=str(proxy.ca_file))
    transport = httpx.HTTPTransport(verify=trusted, local_address="127.0.0.4")
    made_up = {"X-Forwarded-For": "203.0.113.9"}
    with httpx.Client(base_url=proxy.tls_url, transport=transport, headers=made_up) as client:
        fields = {"token": "not-the-token", "name": "eve", "next": "/"}
        assert client.post("/token/sign-in", data=fields).status_code == 403
        daemon.until(lambda: newest(daemon)["action"] == "sign in refused", what="written down")
        assert (newest(daemon)["target"], newest(daemon)["actor"]) == ("127.0.0.4", "eve")
        answer = client.post("/token/sign-in", data={**fields, "token": TOKEN, "name": "ann"})
    assert answer.status_code == 303
    assert answer.headers["set-cookie"].startswith("__Host-healthd_session=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    entry = newest(daemon)
    assert (entry["actor"], entry["action"], entry["target"]) == ("ann (token)", "sign in", "127.0.0.4")
