"""The pages in a real browser: on a phone and on a desk, with and without JavaScript, alive or dead."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import TOKEN, Daemon
from tests.servers.receiver import Receiver

WIDTHS = {"phone": 360, "desk": 1280}
PATIENCE = 60_000  # ms


def catalogue(url: str) -> str:
    return f"""\
system: {{name: shop, title: Shop, timezone: Europe/Berlin}}
severities: {{SEV1: {{title: Critical}}, SEV3: {{title: Minor}}}}
cadences: {{morning: {{on: weekdays, at: "08:00", title: Morning round}}}}
playbooks:
  web-down:
    title: The shop does not answer
    remediation:
      - {{title: Roll back, command: "kubectl rollout undo deployment/shop --namespace a-namespace-with-a-long-name"}}
checks:
  - name: web
    title: The shop answers
    every: 1s
    timeout: 900ms
    probe: {{type: http, url: "{url}/a-rather-long-path-that-does-not-fit-on-a-telephone-in-one-line"}}
    thresholds: {{measure: latency, target: "< 300ms", warning: ">= 5s"}}
    severity: SEV1
    playbook: web-down
  - {{name: load, title: Load, every: 1s, timeout: 900ms, severity: SEV3, probe: {{type: load}},
     thresholds: {{measure: load1, warning: "> 100000"}}}}
  - {{name: round, title: Morning look, cadence: morning, severity: SEV3, probe: {{type: memory}},
     thresholds: {{measure: used_ratio, warning: ">= 99.9%"}}}}
"""


@dataclass
class Watched:
    """A browser window and everything it complained of or asked elsewhere."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda r: None if r.url.startswith(self.base + "/") else self.foreign.append(r.url))

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


@pytest.fixture
def watch(browser: Browser, daemon: Daemon) -> Iterator[Callable[..., Watched]]:
    """`watch(width=1280, javascript=True, dark=False)`: a window of its own."""
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, javascript: bool = True, dark: bool = False) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        return Watched(context.new_page(), daemon.url)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def daemon(new_daemon: NewDaemon, receiver: Receiver) -> Daemon:
    """Has looked at the shop."""
    made = new_daemon(catalogue(receiver.url)).start()
    made.until(lambda: made.get("/api/v1/checks/shop/web")["status"] == "ok", what="looked at")
    return made


def test_every_page_fits_every_screen_and_asks_nobody_else(
    daemon: Daemon, receiver: Receiver, watch: Callable[..., Watched]
) -> None:
    receiver.default = 500
    daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    incident = daemon.get("/api/v1/incidents?open=true")["incidents"][0]["id"]
    pages = ("/", "/systems/shop", "/checks/shop/web", "/checks/shop/round", "/incidents", f"/incidents/{incident}",
             "/schedule", "/silences", "/windows", "/attestations", "/checklists/shop/morning",
             "/healthd", "/sign-in", "/api/docs")  # fmt: skip
    for name, width in WIDTHS.items():
        window = watch(width=width, dark=name == "phone")
        for path in pages:
            page = window.open(path)
            assert window.overflow() <= 0, f"{path} is wider than {width} px"
            expect(page.locator("h1")).to_be_visible()
            expect(page.locator("#live")).to_be_hidden()
        assert window.complaints == []
        assert window.foreign == []


def test_without_javascript_everything_is_there(daemon: Daemon, watch: Callable[..., Watched]) -> None:
    page = watch(width=360, javascript=False).open("/")
    expect(page.get_by_role("heading", name="All in order")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="The shop answers")).to_contain_text("ok")
    page.get_by_role("link", name="The shop answers").click()
    expect(page.get_by_role("img", name=re.compile("latency over the last")).first).to_be_visible()
    page.get_by_role("link", name="Sign in to run it now").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Sign in").click()
    before = len(daemon.get("/api/v1/audit")["entries"])
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", name="The shop answers")).to_be_visible()
    entries = daemon.get("/api/v1/audit")["entries"]
    assert (len(entries), entries[0]["actor"], entries[0]["action"]) == (before + 1, "ada", "run")


def test_a_check_that_breaks_shows_by_itself_and_an_incident_is_acknowledged(
    daemon: Daemon, receiver: Receiver, watch: Callable[..., Watched]
) -> None:
    window = watch()
    page = window.open("/")
    row = page.get_by_role("row").filter(has_text="The shop answers")
    expect(row).to_contain_text("ok")
    page.get_by_role("searchbox").fill("half a wor")
    receiver.default = 500
    expect(row).to_contain_text("critical", timeout=PATIENCE)
    expect(page).to_have_title(re.compile("critical"))
    expect(page.get_by_role("searchbox")).to_have_value("half a wor")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("region", name="Open incidents").get_by_role("link", name="The shop answers").click()
    expect(page.get_by_text("kubectl rollout undo")).to_be_visible()
    page.get_by_role("link", name="Sign in to acknowledge it").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Note").fill("on it")
    page.get_by_role("button", name="Acknowledge as ada").click()
    expect(page.get_by_text("acknowledged by ada: on it")).to_be_visible()
    receiver.default = "ok"
    expect(page.locator(".banner")).to_contain_text("resolved", timeout=PATIENCE)
    assert window.complaints == []
    assert window.foreign == []


def test_a_page_without_news_is_not_sent_again(daemon: Daemon, watch: Callable[..., Watched]) -> None:
    page = watch().open("/schedule?ahead=week")
    page.evaluate("document.querySelector('time[data-live=ago]').dateTime = new Date(Date.now() - 65000).toISOString()")
    with page.expect_response(lambda answer: answer.status == 304, timeout=2 * PATIENCE):
        expect(page.locator("time[data-live=ago]").first).to_have_text(re.compile("1m .*ago"))  # counted on by itself


def test_a_checklist_is_ticked_off(daemon: Daemon, watch: Callable[..., Watched]) -> None:
    page = watch(width=360).open("/")
    today = page.get_by_role("region", name="Today's checklists")
    if today.count():  # on weekends there is none
        today.get_by_role("link", name="Morning round").click()
    else:
        page.goto(f"{daemon.url}/checklists/shop/morning")
    line = page.get_by_role("listitem").filter(has_text="Morning look")
    expect(line).to_contain_text("not looked at yet")
    daemon.http.post("/api/v1/checks/shop/round/run").raise_for_status()
    expect(line).to_contain_text("used_ratio", timeout=PATIENCE)
    expect(line).to_contain_text("ok")


def test_details_opened_by_keyboard_stay_open_and_the_page_stays_where_it_is(
    daemon: Daemon, watch: Callable[..., Watched]
) -> None:
    page = watch(width=360).open("/checks/shop/load")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    summary = page.locator("#measurements summary")
    for _ in range(30):  # past the breadcrumb, and the table that can be scrolled
        page.keyboard.press("Tab")
        if summary.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#measurements")).to_have_attribute("open", "")
    page.evaluate("window.scrollTo(0, 500)")
    at = page.evaluate("window.scrollY")
    shown = page.locator("footer time").inner_text()
    expect(page.locator("footer time")).not_to_have_text(shown, timeout=PATIENCE)
    expect(summary).to_be_focused()
    assert page.locator("#measurements").get_attribute("open") is not None
    assert page.evaluate("window.scrollY") == at


def test_a_dead_daemon_is_noticed_and_its_return_too(daemon: Daemon, watch: Callable[..., Watched]) -> None:
    page = watch().open("/")
    daemon.kill()
    expect(page.get_by_role("status")).to_contain_text("healthd does not answer", timeout=PATIENCE)
    expect(page.get_by_role("heading", name="All in order")).to_be_visible()
    daemon.start()
    expect(page.get_by_role("status")).to_be_hidden(timeout=PATIENCE)


def test_reading_that_is_closed_opens_after_signing_in(
    new_daemon: NewDaemon, receiver: Receiver, browser: Browser
) -> None:
    daemon = new_daemon(catalogue(receiver.url), read_open="false").start()
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{daemon.url}/checks/shop/web?range=day")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_label("Your name").fill("ada")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="The shop answers")).to_be_visible()
        assert page.url.endswith("/checks/shop/web?range=day")
        # a link from another site comes without the session; the page finds out by itself
        page.goto("data:text/html,<a href='" + daemon.url + "/incidents'>from elsewhere</a>")
        page.get_by_role("link").click()
        expect(page.get_by_role("heading", name="Incidents")).to_be_visible()
    finally:
        context.close()
