"""Silences, maintenance windows and attestations on the page: forms that do what they say, text that stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from healthd.web.api import people_models
from tests.component.web.conftest import HOSTILE
from tests.component.web.test_pages import Page
from tests.e2e.daemon import TOKEN, Daemon

CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
cadences: {often: {every: 2s}}
attestations:
  rotate: {title: "Rotate <b>", cadence: often, due: 1h, description: "<i>by hand</i>", who: "<u>ada</u>"}
checks:
  - {name: stock, title: Stock, every: 1s, severity: SEV1, probe: {type: files, glob: "FOLDER/*.txt"},
     thresholds: {measure: count, critical: "< 1"}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("people")
    daemon = Daemon(folder, CATALOGUE.replace("FOLDER", str(folder)))
    daemon.start()
    daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    yield daemon
    daemon.kill()
    daemon.http.close()


@pytest.fixture
def browser(shop: Daemon) -> Iterator[httpx.Client]:
    """Signed in as ada."""
    with httpx.Client(base_url=shop.url, follow_redirects=True) as client:
        client.post("/sign-in", data={"token": TOKEN, "name": "ada", "next": "/"})
        yield client


def submit(browser: httpx.Client, path: str, action: str, **fields: str) -> httpx.Response:
    """Send the form with this action that stands on the page."""
    page = browser.get(path).text
    assert f'action="{action}"' in page, page
    [key, *_] = re.findall(r'name="form_key" value="([^"]+)"', page)
    return browser.post(action, data={"form_key": key, **fields})


def harmless(answer: httpx.Response) -> str:
    page = Page(answer.text)
    assert answer.status_code == 200
    assert not page.open
    assert not [tag for tag, _ in page.elements if tag in ("img", "i", "u")]
    return page.words


def test_a_check_is_silenced_from_its_incident_and_the_silence_ended_on_its_page(
    shop: Daemon, browser: httpx.Client
) -> None:
    [incident] = shop.get("/api/v1/incidents?open=true")["incidents"]
    page = f"/incidents/{incident['id']}"
    words = harmless(submit(browser, page, f"{page}/silence", duration="1h", reason=f"known {HOSTILE}"))
    [silence] = shop.get("/api/v1/silences")["silences"]
    people_models.Silence.model_validate(silence)
    assert (silence["author"], silence["matchers"][0]["value"]) == ("ada", "shop/stock")
    shop.until(lambda: "Nobody is told of it: silenced by ada" in browser.get(page).text.replace("</b>", ""))
    assert f"known {HOSTILE}" in harmless(browser.get("/silences"))
    assert words
    ended = submit(browser, "/silences", f"/silences/{silence['id']}/expire")
    assert "Nothing is silenced." in harmless(ended)
    assert f"known {HOSTILE}" in harmless(ended), "kept under those that are over"


def test_a_silence_is_made_of_matchers_with_spaces_and_refused_with_a_sentence(
    shop: Daemon, browser: httpx.Client
) -> None:
    made = submit(
        browser, "/silences", "/silences", matchers='severity="Severity 2" system=shop', duration="2h", reason="r"
    )
    assert "severity=Severity 2" in harmless(made)
    [silence] = shop.get("/api/v1/silences")["silences"]
    assert [m["value"] for m in silence["matchers"]] == ["Severity 2", "shop"]
    shop.http.post(f"/api/v1/silences/{silence['id']}/end")
    refused = submit(browser, "/silences", "/silences", matchers='x="y', duration="2h", reason="r")
    assert (refused.status_code, "a quotation mark is not closed" in refused.text) == (400, True)
    refused = submit(browser, "/silences", "/silences", matchers="x=y", duration="2h", reason=" ")
    assert (refused.status_code, "A reason is needed" in refused.text) == (400, True)


def test_maintenance_is_added_and_ended_on_its_page(shop: Daemon, browser: httpx.Client) -> None:
    added = submit(browser, "/windows", "/windows", system="shop", starts_at="", duration="1h", reason=HOSTILE)
    assert HOSTILE in harmless(added)
    [window] = shop.get("/api/v1/windows")["windows"]
    people_models.Window.model_validate(window)
    assert (window["state"], window["author"]) == ("active", "ada")
    ended = submit(browser, "/windows", f"/windows/{window['id']}/end")
    assert "None is open" in harmless(ended)
    coming = submit(
        browser, "/windows", "/windows", system="shop", starts_at="2999-01-01T00:00", duration="1h", reason="r"
    )
    assert "planned" in harmless(coming)


def test_one_click_signs_for_a_task_and_another_takes_it_back(shop: Daemon, browser: httpx.Client) -> None:
    shop.until(lambda: shop.get("/api/v1/attestations")["attestations"], what="asked for")
    words = harmless(browser.get("/attestations"))
    assert "Rotate <b>" in words
    [asked] = shop.get("/api/v1/attestations")["attestations"]
    people_models.Attestation.model_validate(asked)
    page = f"/attestations/{asked['id']}"
    given = submit(browser, page, page, note=HOSTILE, link="https://wiki.example/<x>")
    if given.status_code == 409:  # the next one took its place just now
        [asked] = shop.get("/api/v1/attestations")["attestations"]
        page = f"/attestations/{asked['id']}"
        given = submit(browser, page, page, note=HOSTILE, link="https://wiki.example/<x>")
    assert "signed by ada" in harmless(given)
    assert HOSTILE in harmless(given)


def test_a_stranger_sees_and_changes_nothing(shop: Daemon) -> None:
    with httpx.Client(base_url=shop.url) as stranger:
        for path in ("/silences", "/windows", "/attestations"):
            page = stranger.get(path).text
            assert "form_key" not in page
            assert f"/sign-in?next={path.replace('/', '%2F')}" in page or f"/sign-in?next={path}" in page
        for path in ("/silences", "/windows", "/attestations/x", "/silences/x/expire", "/windows/x/end"):
            assert stranger.post(path, data={"form_key": "x"}).status_code == 401


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/silences", {"matchers": "check=~(a+)+", "reason": "moving <i>", "duration": "8h"}, "may take for ever"),
        ("/silences", {"matchers": 'check="web', "reason": "moving <i>", "duration": "8h"}, "is not closed"),
        ("/windows", {"system": "shop", "starts_at": "2001-01-01T00:00", "reason": "moving <i>", "duration": "8h"}, ""),
    ],
)
def test_a_form_that_is_refused_keeps_what_was_written(
    browser: httpx.Client, path: str, fields: dict[str, str], said: str
) -> None:
    refused = submit(browser, path, path, **fields)
    assert refused.status_code in (400, 409)
    assert said in refused.text
    assert "Nothing was changed." in refused.text
    assert "<option selected>8h</option>" in refused.text
    assert 'name="reason" value="moving &lt;i&gt;"' in refused.text
    assert all(text in html.unescape(refused.text) for text in fields.values())


def test_whoever_signs_in_for_a_form_comes_back_to_its_page(shop: Daemon) -> None:
    [incident, *_] = shop.get("/api/v1/incidents?open=true")["incidents"]
    page = f"/incidents/{incident['id']}"
    with httpx.Client(base_url=shop.url) as stranger:
        for came_from, back in ((shop.url + page, page), ("https://evil.example/x", "/"), ("", "/")):
            headers = {"Referer": came_from} if came_from else {}
            refused = stranger.post(f"{page}/acknowledge", data={"form_key": "x"}, headers=headers)
            assert (refused.status_code, f'name="next" value="{back}"' in refused.text) == (401, True)
            assert "nothing was changed" in refused.text


@pytest.mark.parametrize("path", ["/incidents", "/reports", "/coverage", "/schedule"])
def test_a_system_that_is_mistyped_is_not_one_in_order(shop: Daemon, path: str) -> None:
    refused = shop.http.get(path, params={"system": "shpo"})
    assert (refused.status_code, "did you mean shop?" in refused.text) == (404, True)
    assert shop.http.get(path, params={"system": "shop"}).status_code == 200
