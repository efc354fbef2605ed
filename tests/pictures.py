"""The pictures in the documentation, taken of a made-up company: `make pictures`.

They come out smaller where pngquant is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

from playwright.sync_api import Browser, sync_playwright

from tests.demo.world import World
from tests.e2e.daemon import TOKEN, Daemon

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
BROKEN = ("shop/checkout", "shop/error-rate", "warehouse/stock-sync")
MOST_BYTES = 200_000


class Picture(NamedTuple):
    """One page as it is photographed: `name`.png, `height` pixels from the top."""

    name: str
    path: str
    height: int
    width: int = 1280
    scheme: str = "light"


PICTURES = (
    Picture("overview", "/", 1200),
    Picture("check", "/checks/shop/checkout?range=day", 1080),
    Picture("incident", "/incidents/{incident}", 1300),
    Picture("report", "/reports/preview/shop/morning", 960),
    Picture("schedule", "/schedule", 860),
    Picture("phone", "/", 844, 390, "dark"),
)


def main(names: list[str]) -> int:
    """Take those of these names, all by default. 1 when one is larger than a reader should have to load."""
    chosen = [picture for picture in PICTURES if picture.name in names or not names]
    folder = Path(tempfile.mkdtemp(prefix="healthd-pictures-"))
    world = World(folder, timedelta(hours=1))
    try:
        world.start()
        incident = _trouble(world)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            sizes = [_take(browser, world.daemon, picture, incident) for picture in chosen]
            browser.close()
    finally:
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return int(max(sizes) > MOST_BYTES)


def _trouble(world: World) -> str:
    """Something breaks and somebody takes it; the id of its incident, once all of that is told and diagnosed."""
    daemon = world.daemon
    for check in ("shop/orders-queue", "shop/search"):
        daemon.http.post(f"/api/v1/checks/{check}/run").raise_for_status()
    world.broken = set(BROKEN)
    for check in BROKEN:
        daemon.http.post(f"/api/v1/checks/{check}/run").raise_for_status()
    daemon.until(lambda: _open(daemon), 60, "an incident of the shop")
    found = _open(daemon)[0]
    kinds = ("told", "diagnosed")
    daemon.until(lambda: {e["kind"] for e in _incident(daemon, found)["timeline"]}.issuperset(kinds), 30, "diagnosed")
    taken = {"actor": "ada", "note": "rolling back this morning's deployment"}
    daemon.http.post(f"/api/v1/incidents/{found['id']}/acknowledge", json=taken).raise_for_status()
    return str(found["id"])


def _open(daemon: Daemon) -> list[dict[str, Any]]:
    incidents = daemon.get("/api/v1/incidents?open=true")["incidents"]
    return [i for i in incidents if i["system"] == "shop" and i["level"] == "critical"]


def _incident(daemon: Daemon, incident: dict[str, Any]) -> dict[str, Any]:
    return cast(dict[str, Any], daemon.get(f"/api/v1/incidents/{incident['id']}"))


def _take(browser: Browser, daemon: Daemon, picture: Picture, incident: str) -> int:
    """Its size in bytes."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height}, color_scheme=cast(Any, picture.scheme)
    )
    page.goto(f"{daemon.url}/sign-in")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Sign in").click()
    page.goto(daemon.url + picture.path.format(incident=incident))
    file = FOLDER / f"{picture.name}.png"
    page.screenshot(path=file, animations="disabled")
    page.close()
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--skip-if-larger", "--ext", ".png", str(file)], check=False)
    print(f"{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}: {file.stat().st_size:,} bytes")
    return file.stat().st_size


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    sys.exit(main(sys.argv[1:]))
