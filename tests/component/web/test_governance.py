"""Coverage, configuration, audit log, the public status page and badges, entity tags and problems."""

from __future__ import annotations

import signal
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.component.web.conftest import Shop, catalogue
from tests.e2e.daemon import TOKEN, Daemon


@pytest.fixture(scope="module")
def public(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Closed to strangers, but for its status page; over TLS."""
    folder = tmp_path_factory.mktemp("public")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    served = authority.issue_cert("127.0.0.1")
    served.private_key_pem.write_to_path(str(folder / "key.pem"))
    served.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    made = Daemon(
        folder, catalogue(shop.server.url), public_status="true", read_open="false", reload_watch="false",
        tls_cert=str(folder / "cert.pem"), tls_key=str(folder / "key.pem"),
    )  # fmt: skip
    made.url = made.url.replace("http:", "https:")
    trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    made.http = httpx.Client(
        base_url=made.url, timeout=10, headers={"Authorization": f"Bearer {TOKEN}"}, verify=trusted
    )
    try:
        yield made.start()
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()


@pytest.fixture
def outsider(public: Daemon) -> Iterator[httpx.Client]:
    """Knows no token."""
    trusted = ssl.create_default_context(cafile=str(public.folder / "ca.pem"))
    with httpx.Client(base_url=public.url, timeout=10, verify=trusted) as client:
        yield client


def test_the_public_page_tells_how_systems_stand_and_nothing_else(public: Daemon, outsider: httpx.Client) -> None:
    public.until(lambda: "waiting" not in outsider.get("/status").text, what="looked at")
    page = outsider.get("/status")
    assert page.status_code == 200
    assert "Shop &lt;script&gt;" in page.text
    for told in ("api", "cart", "Memory of each pod", "/checks/", "/incidents"):
        assert told not in page.text.replace("/static/", "")
    assert outsider.get("/").status_code == 401
    assert outsider.get("/coverage").status_code == 401


def test_a_badge_is_a_picture_of_one_word(outsider: httpx.Client) -> None:
    badge = outsider.get("/badge/shop.svg")
    assert badge.headers["content-type"] == "image/svg+xml"
    assert badge.headers["ETag"].startswith('W/"')
    assert badge.headers["cross-origin-resource-policy"] == "cross-origin"
    root = ET.fromstring(badge.text)
    assert root.attrib["aria-label"].startswith("Shop <script>")
    assert outsider.get("/badge/shp.svg").status_code == 404


def test_it_speaks_tls_and_nothing_else(public: Daemon) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(public.url.replace("https:", "http:") + "/healthz", timeout=5)


def test_without_the_setting_there_is_no_public_page(stranger: httpx.Client) -> None:
    for path in ("/status", "/badge/shop.svg"):
        answer = stranger.get(path)
        assert answer.status_code == 404
        assert "HEALTHD_PUBLIC_STATUS" in answer.text


def test_the_configuration_is_shown_without_secrets(daemon: Daemon) -> None:
    page = daemon.http.get("/configuration").text
    assert "HEALTHD_TOKEN" in page
    assert "set, not shown" in page
    assert TOKEN not in page
    assert "hunter2secret" not in page
    assert "Europe/Berlin" in page


def test_the_audit_log_names_who_did_what(daemon: Daemon) -> None:
    daemon.http.post("/api/v1/checks/shop/api/run", json={"actor": "ann <b>"}).raise_for_status()
    page = daemon.http.get("/audit").text
    assert "ann &lt;b&gt;" in page
    assert "shop/api" in page


def test_the_audit_log_is_looked_through_page_by_page(daemon: Daemon) -> None:
    for number in range(4):
        who = {"actor": f"Bo Ræv {number % 2}"}
        daemon.http.post("/api/v1/checks/shop/drill/run", json=who).raise_for_status()
    found = daemon.get("/api/v1/audit?actor=Bo+Ræv+1&limit=1")["entries"]
    rest = daemon.get(f"/api/v1/audit?actor=Bo+Ræv+1&after={found[0]['number']}")["entries"]
    assert [entry["actor"] for entry in found + rest] == ["Bo Ræv 1"] * 2
    assert {entry["actor"] for entry in daemon.get("/api/v1/audit?q=rÆV&action=run")["entries"]} == {
        "Bo Ræv 0",
        "Bo Ræv 1",
    }
    assert daemon.get("/api/v1/audit?action=sign+in&actor=Bo+Ræv+1")["entries"] == []
    page = daemon.http.get("/audit?actor=Bo+Ræv+1").text
    assert "Bo Ræv 1" in page
    assert "Bo Ræv 0" not in page
    assert "Nothing like that" in daemon.http.get("/audit?q=never").text
    assert daemon.http.get("/audit?before=99999999999999999999").status_code == 200


def test_coverage_says_that_there_is_no_index(daemon: Daemon) -> None:
    assert "No system here has an index" in daemon.http.get("/coverage").text


def test_coverage_lists_documented_items(daemon: Daemon, tmp_path: Path, shop: Shop) -> None:
    documented = """
runbook:
  - document: guide
    title: Operations guide
    items:
      - {id: daily-1, heading: Daily, title: Look at the API, fate: check, cadence: morning}
      - {id: daily-2, heading: Daily, title: Look at the <b>moon</b>, fate: check}
"""
    own = Daemon(tmp_path, catalogue(shop.server.url) + documented, reload_watch="false").start()
    try:
        page = own.http.get("/coverage?uncovered=1").text
        assert "Look at the &lt;b&gt;moon&lt;/b&gt;" in page
        assert "uncovered" in page
        assert own.http.get("/coverage?system=shop").status_code == 200
    finally:
        own.kill()


def test_what_has_not_changed_is_not_sent_again(daemon: Daemon) -> None:
    first = daemon.http.get("/api/v1/systems")
    tag = first.headers["etag"]
    again = daemon.http.get("/api/v1/systems", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    packed = daemon.http.get("/api/v1/systems", headers={"If-None-Match": tag, "Accept-Encoding": "gzip"})
    assert packed.status_code == 304
    assert daemon.http.get("/api/v1/systems", headers={"If-None-Match": '"other"'}).json() == first.json()


def test_errors_are_problems(daemon: Daemon) -> None:
    answer = daemon.http.get("/api/v1/checks/shop/nothing")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["title"], problem["type"]) == (404, "Not Found", "about:blank")
    assert problem["detail"] == problem["error"]
