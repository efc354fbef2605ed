"""Every page held against axe's rules (WCAG 2.1 A and AA, and best practice): light on a desk, dark on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, sync_playwright

from tests.demo.world import World
from tests.e2e.daemon import TOKEN, Daemon

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
SCREENS = {"desk": (1280, "light"), "phone": (390, "dark")}
SIGNED_IN = (
    "/", "/systems/shop?cadence=morning", "/systems/shop/playbooks", "/checks/shop/checkout?range=day",
    "/checks/shop/handover", "/checklists/shop/morning", "/incidents", "/incidents/{incident}",
    "/reports?system=payments&cadence=weekly", "/reports/{report}", "/availability?system=shop", "/silences",
    "/windows", "/attestations", "/attestations/{task}", "/schedule?system=payments", "/coverage", "/configuration",
    "/healthd", "/audit", "/status", "/api/docs", "/nowhere",
)  # fmt: skip
SIGNED_OUT = ("/sign-in", "/incidents/{incident}", "/attestations/{task}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three systems with some history, two incidents, tasks, a silence and a window."""
    made = World(tmp_path_factory.mktemp("demo"))
    made.broken = {"shop/checkout", "shop/error-rate"}
    try:
        made.start()
        daemon = made.daemon
        for path, body in (
            ("silences", {"matchers": ["check=shop/images"], "reason": "a new provider", "duration": "2h"}),
            ("windows", {"system": "shop", "reason": "upgrade", "duration": "2h"}),
        ):
            daemon.http.post(f"/api/v1/{path}", json=body).raise_for_status()
        daemon.http.post("/api/v1/checks/shop/checkout/run").raise_for_status()
        daemon.until(lambda: of_shop(daemon), 30, "an incident")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_on_any_page_keeps_anybody_out(world: World, chromium: Browser, screen: str) -> None:
    width, scheme = SCREENS[screen]
    ids = named(world)
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=cast(Any, scheme))
    try:
        page = context.new_page()
        found = [problem for path in SIGNED_OUT for problem in problems(page, world, path.format(**ids))]
        page.goto(f"{world.daemon.url}/sign-in")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_label("Your name").fill("ada")
        page.get_by_role("button", name="Sign in").click()
        found += [problem for path in SIGNED_IN for problem in problems(page, world, path.format(**ids))]
        assert found == [], "\n".join(found)
    finally:
        context.close()


def named(world: World) -> dict[str, str]:
    """What is open: an incident, a task, a report."""
    get = world.daemon.get
    return {
        "incident": of_shop(world.daemon)[0]["id"],
        "task": get("/api/v1/attestations?state=open")["attestations"][0]["id"],
        "report": get("/api/v1/reports?system=shop&cadence=morning")["reports"][0]["id"],
    }


def of_shop(daemon: Daemon) -> list[Any]:
    """Its open incidents."""
    return [i for i in daemon.get("/api/v1/incidents?open=true")["incidents"] if i["system"] == "shop"]


def problems(page: Page, world: World, path: str) -> list[str]:
    """What axe finds on one page with everything opened, and whether anything sticks out of it."""
    page.goto(world.daemon.url + path)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    violations = Axe().run(page, options=options).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [
        *(f"{path}: {v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}" for v in violations),
        *([f"{path}: {wide} px wider than the window"] if wide > 0 else []),
    ]
