"""The pages as a browser without JavaScript gets them."""

from __future__ import annotations

import json
import re
import signal
import time
from html.parser import HTMLParser

import httpx
import pytest

from healthd.web.errors import refusal_of
from tests.component.web.conftest import HOSTILE, Shop
from tests.e2e.daemon import Daemon

PAGES = ("/", "/?status=ok", "/systems/shop", "/systems/shop/playbooks", "/checks/shop/api", "/checks/shop/pods",
         "/checks/shop/round", "/checks/shop/off", "/incidents", "/schedule?ahead=month", "/silences", "/windows",
         "/attestations", "/systems/healthd", "/checklists/shop/morning", "/healthd", "/coverage",
         "/configuration", "/sign-in", "/api/docs", "/nowhere")  # fmt: skip


class Page(HTMLParser):
    """What of a page matters here: elements that act, addresses, attributes that act, visible text."""

    VOID = frozenset({"meta", "link", "input", "br", "img", "col"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def incident(shop: Shop, daemon: Daemon) -> str:
    """An incident that came and went before the tests of this module: pages have something to show."""
    shop.state = HOSTILE
    found = daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    shop.state = "ready"
    daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], what="its end")
    return str(found[0]["id"])


@pytest.mark.parametrize("path", [*PAGES, "/incidents/{incident}"])
def test_nothing_that_was_observed_or_written_becomes_markup(daemon: Daemon, incident: str, path: str) -> None:
    answer = daemon.http.get(path.format(incident=incident))
    page = Page(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not page.open, "everything that was opened is closed"
    assert [script["src"] for script in page.all("script")] == ["/static/live.js"]
    for tag, attributes in page.elements:
        assert tag not in ("img", "em", "style", "iframe", "object")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            address = attributes.get(name) or ""
            assert not address.lower().startswith(("javascript:", "data:", "//", "http"))
    assert "hunter2secret" not in answer.text
    assert "sk-topsecret" not in answer.text


@pytest.mark.parametrize("path", [*PAGES, "/metrics", "/static/healthd.css", "/api/v1/status", "/api/v1/nothing"])
def test_every_answer_carries_the_headers_that_protect_it(stranger: httpx.Client, path: str) -> None:
    headers = stranger.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


@pytest.mark.parametrize("path", [page for page in PAGES if page != "/nowhere"])
def test_pages_have_one_main_heading_landmarks_and_named_parts(stranger: httpx.Client, path: str) -> None:
    page = Page(stranger.get(path).text)
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == 1
    assert page.all("html")[0]["lang"] == "en"
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    for attributes in (a for _, a in page.elements if a.get("aria-labelledby")):
        assert attributes["aria-labelledby"] in ids
    for header in page.all("th"):
        assert header.get("scope") in ("col", "row")
    for field in page.all("input"):
        assert field.get("type") == "hidden" or field.get("name")


def test_the_overview_shows_every_check_with_its_values_and_limits(daemon: Daemon) -> None:
    words = Page(daemon.http.get("/").text).words
    assert "All in order" in words
    assert "The API answers <script>alert('check')</script>" in words
    assert "value pod-" in words
    assert "30%" in words
    assert "warning >= 80%, critical >= 95%" in words
    assert "Morning round weekdays at 08:00" in words
    assert "waiting" in words
    assert "disabled" in words


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("status=waiting", "shop/round", "shop/api "),
        ("status=problem", "No check has a problem", "shop/api "),
        ("q=cart", "shop/cart", "shop/pods"),
        ("q=zzz", "No check matches", "shop/api "),
        ("cadence=morning", "shop/round", "shop/pods"),
    ],
)
def test_the_overview_is_filtered_by_its_address(daemon: Daemon, query: str, there: str, not_there: str) -> None:
    words = Page(daemon.http.get(f"/?{query}").text).words
    assert there in words
    assert not_there not in words


def test_a_check_shows_what_it_is_and_what_it_was(daemon: Daemon, incident: str) -> None:
    page = Page(daemon.http.get("/checks/shop/api?measure=latency").text)
    for text in (
        "Described with <em>markup</em>", "every 1s", "shop-operations/daily-1", "system.yaml:", "< 300ms",
        "severity".capitalize(), "SEV1 when critical, SEV3 when warning", "latency over the last 1 hour", "Recent runs",
        "Authorization-Token: <redacted>", "Europe/Berlin", "The API does not answer <i>",
    ):  # fmt: skip
        assert text in page.words, text
    assert len(page.all("svg")) == 2
    assert any("line" in (path.get("class") or "") for path in page.all("path"))
    assert any("fill-critical" in (bar.get("class") or "") for bar in page.all("rect"))
    assert f"/incidents/{incident}" in [link.get("href") for link in page.all("a")]


@pytest.mark.parametrize("range_", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("measure", ["value", "duration", "nothing"])
def test_history_is_drawn_for_every_range(daemon: Daemon, range_: str, measure: str) -> None:
    answer = daemon.http.get("/checks/shop/pods", params={"range": range_, "measure": measure})
    assert answer.status_code == 200
    drawing = re.findall(r'<(?:path|circle) class="(?:line|dot)"[^>]*>', answer.text)
    assert drawing
    assert not re.search(r"nan|inf\b", " ".join(drawing))


def test_one_series_can_be_plotted_by_its_name(daemon: Daemon) -> None:
    answer = daemon.http.get("/checks/shop/pods", params={"measure": "value", "series": f"pod-{HOSTILE}-0"})
    assert "latest 20%" in answer.text
    assert "latest 30%" in daemon.http.get("/checks/shop/pods").text


def test_an_incident_shows_reason_values_timeline_and_playbook(daemon: Daemon, incident: str) -> None:
    words = Page(daemon.http.get(f"/incidents/{incident}").text).words
    for text in (
        f"state {HOSTILE}, limit != ready", "resolved", "opened as SEV1", "Customers see <h1>an error</h1>",
        "kubectl get pods | grep '<none>'", "(it was deployed just now) Roll back", "never executes", "A deployment",
        "SEV1: Critical <b>",
    ):  # fmt: skip
        assert text in words, text


def test_an_open_incident_is_on_top_and_names_what_it_explains(shop: Shop, daemon: Daemon) -> None:
    shop.down = True
    try:
        found = daemon.until(
            lambda: [i for i in daemon.get("/api/v1/incidents?open=true")["incidents"] if i["check"] == "shop/api"],
            what="an incident",
        )[0]["id"]
        daemon.until(lambda: "suppressed" in daemon.http.get("/checks/shop/cart").text, what="kept quiet")
        overview = daemon.http.get("/").text
        words = Page(overview).words
        assert "need attention" in words
        assert words.index("Open incidents") < words.index("Last value")
        assert "not acknowledged" in words
        assert "shop/cart" in Page(daemon.http.get(f"/incidents/{found}").text).words
        assert "critical" in re.search(r"<title>(.*?)</title>", overview)[1]  # type: ignore[index]
    finally:
        shop.down = False
        daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], what="in order again")


def test_a_checklist_says_what_has_been_looked_at_since_it_was_due(daemon: Daemon) -> None:
    words = Page(daemon.http.get("/checklists/shop/morning").text).words
    assert "Morning round" in words
    assert re.search(r"begun \w+ \d+ \w+ \d{4} at 08:00 CES?T", words)
    assert "Looked at every morning" in words
    assert "not looked at yet" in words
    never = Page(daemon.http.get("/checklists/shop/yearly").text).words
    assert "It has not been due yet" in never


def test_a_page_is_sent_again_only_when_it_says_something_else(daemon: Daemon, stranger: httpx.Client) -> None:
    def asked_twice() -> tuple[str, bytes] | None:
        first = stranger.get("/checklists/shop/morning")
        tag = first.headers["etag"]
        assert f'data-tag="{tag[3:-1]}"' in first.text
        time.sleep(1.1)  # "12s ago" is another one now: a browser counts on by itself
        again = stranger.get("/checklists/shop/morning", headers={"If-None-Match": tag})
        return (tag, again.content) if again.status_code == 304 else None

    found = daemon.until(asked_twice, 30, "the same")
    assert found is not None
    tag, content = found
    assert content == b""
    assert stranger.get("/checklists/shop/yearly", headers={"If-None-Match": tag}).status_code == 200
    assert "etag" not in stranger.get("/nowhere").headers


def test_healthd_tells_of_its_own_state(daemon: Daemon) -> None:
    words = Page(daemon.http.get("/healthd").text).words
    assert re.search("healthd (is well|has a problem)", words)  # on a machine that is short of time, checks are late
    assert "6 checks of 1 system" in words
    assert "Nobody is told of anything" in words
    assert "Checks run when they should" in words


def test_the_schedule_is_a_calendar_of_any_month(daemon: Daemon) -> None:
    page = Page(daemon.http.get("/schedule?month=2028-02").text)
    assert "February 2028" in page.words
    leap = page.words.partition("29 February")[2].partition("1 March")[0]
    assert "09:00 yearly" in leap
    assert "08:00 Morning round" in leap
    assert daemon.http.get("/schedule?month=1999-01").status_code == 400


def test_the_schedule_shows_the_zone_of_each_system(daemon: Daemon) -> None:
    words = Page(daemon.http.get("/schedule?ahead=week").text).words
    assert "Morning round" in words
    assert re.search(r"08:00 CES?T", words)
    assert "3 checks every 1s" in words


def test_a_playbook_that_no_check_names_can_be_read(daemon: Daemon) -> None:
    assert 'href="/systems/shop/playbooks"' in daemon.http.get("/systems/shop").text
    words = Page(daemon.http.get("/systems/shop/playbooks").text).words
    assert "Look at the pods" in words
    assert "How to deploy deploy No check leads to it." in words
    assert "make deploy" in words


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "Not found"),
        ("/systems/shoop/playbooks", 404, "did you mean shop?"),
        ("/checks/shop/apy", 404, "did you mean shop/api"),
        ("/systems/shoop", 404, "did you mean shop?"),
        ("/incidents/INC-<b>", 404, "No incident"),
        ("/?status=bad", 400, "there are problem, critical"),
        ("/checks/shop/api?range=century", 400, "there are hour, day"),
        ("/checks/shop/api?before=x", 400, "is not a time"),
        ("/schedule?ahead=x", 400, "there are day, week"),
        ("/schedule?month=x", 400, "write it like 2026-01"),
        ("/schedule?system=shoop", 404, "did you mean shop?"),
        ("/checklists/shop/mornin", 404, "did you mean shop/morning?"),
        ("/checks/shop/api/run", 405, "Method not allowed"),
    ],
)
def test_errors_are_pages_that_help(stranger: httpx.Client, path: str, status: int, words: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == status
    assert words in Page(answer.text).words
    assert "Traceback" not in answer.text
    assert len(Page(answer.text).all("h1")) == 1


@pytest.mark.parametrize("page", ["0", "-1", "9" * 400, "²", "x", "%00"])
def test_page_numbers_that_are_none_show_a_page(stranger: httpx.Client, page: str) -> None:
    assert stranger.get(f"/?page={page}").status_code == 200


def test_of_thousands_of_checks_the_worst_come_first_page_by_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = "".join(
        f"  - {{name: c{i:04}, title: Check {i}, cadence: leap-day, severity: S, probe: {{type: load}},"
        f" thresholds: {{measure: load1, critical: '{'>= 0' if i in (700, 1100) else '> 10000'}'}}}}\n"
        for i in range(1200)
    )
    head = "system: {name: shop}\nseverities: {S: {}}\ncadences: {leap-day: {cron: '0 9 29 2 *'}}\nchecks:\n"
    daemon = Daemon(tmp_path_factory.mktemp("many"), head + rows)
    try:
        daemon.start()
        for name in ("c0700", "c1100", "c0001"):
            assert daemon.http.post(f"/api/v1/checks/shop/{name}/run").status_code == 200
        overview = daemon.http.get("/")
        assert len(overview.content) < 50_000
        words = Page(overview.text).words
        assert "2 checks need attention" in words
        assert "There are 1,200 checks" in words
        assert "shop/c0700" in words
        assert "shop/c0001" not in words
        listed = re.compile(r'<tr role="row" id="shop:(c\d+)" class="(\w+)"')
        first = listed.findall(daemon.http.get("/systems/shop").text)
        assert first[:2] == [("c0700", "critical"), ("c1100", "critical")]
        every = list(first)
        for number in range(2, 13):
            every += listed.findall(daemon.http.get(f"/systems/shop?page={number}").text)
        assert len({name for name, _ in every}) == 1200
    finally:
        daemon.stop(signal.SIGKILL)
        daemon.http.close()


def test_a_mistake_of_ours_is_not_quoted() -> None:
    said = refusal_of(KeyError("password=hunter2"))
    assert said.status == 500
    assert "hunter2" not in said.error + said.hint


def test_while_the_daemon_is_not_ready_it_says_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("away")
    daemon = Daemon(
        folder,
        "system: {name: shop}\nchecks: [{name: load, title: Load, every: 1s, timeout: 900ms, probe: {type: load}}]\n",
        database_url="postgresql://nobody@127.0.0.1:9/none",
    ).launch()
    try:

        def unready() -> bool:
            try:
                return daemon.http.get("/readyz").json()["reasons"] not in ([], ["starting"])
            except httpx.TransportError:
                return False

        daemon.until(unready, what="not ready")
        overview = daemon.http.get("/")
        assert overview.status_code == 200
        assert "healthd is not ready" in overview.text
        check = daemon.http.get("/checks/shop/load")
        assert check.status_code == 200
        assert "the database did not answer" in Page(check.text).words
        assert daemon.http.get("/incidents").status_code == 503
        assert "try again" in daemon.http.get("/incidents").text
        refused = daemon.http.post("/api/v1/checks/shop/load/run")
        assert refused.status_code == 503
        assert "not ready" in json.loads(refused.text)["error"]
        assert daemon.http.get("/api/v1/incidents").status_code == 503
    finally:
        daemon.kill()
        daemon.http.close()
