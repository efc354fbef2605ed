"""The examples of docs/catalogue.md load, with the probes and channels healthd has."""

from __future__ import annotations

import re
from pathlib import Path

from healthd.catalogue import load
from healthd.model.catalogue import Catalogue
from healthd.notify import CHANNELS
from healthd.probes import PROBES
from healthd.settings import Settings
from tests.pure.catalogue_samples import write

ENVIRONMENT = {
    "SHOP_REDIS_URL": "redis://127.0.0.1:6379",
    "SHOP_DATABASE_URL": "postgresql://127.0.0.1/shop",
    "SHOP_SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/x",
}
FIRST, *OTHERS = re.findall(r"```yaml\n(.*?)```", Path("docs/catalogue.md").read_text(), re.DOTALL)


def made(folder: Path, files: dict[str, str | bytes]) -> Catalogue:
    options = {name: kind.Options for name, kind in CHANNELS.items()}
    return load([write(folder, files)], probes=PROBES, channels=options, settings=Settings(), environment=ENVIRONMENT)


def test_the_shortest_catalogue_loads(tmp_path: Path) -> None:
    found = made(tmp_path, {"shop/system.yaml": FIRST})
    assert set(found.checks) == {"shop/front-page"}
    assert not found.warnings


def test_all_other_examples_are_one_catalogue(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"shop/{number}.yaml": text for number, text in enumerate(OTHERS)}
    found = made(tmp_path, {"shop/system.yaml": "x-nothing: here", **files})
    assert set(found.checks) == {"shop/order-queue", "shop/redis-ping"}
    assert set(found.systems["shop"].cadences) == {"continuous", "morning", "twice", "drill", "cleanup"}
    assert set(found.channels) == {"shop-slack"}
    assert not found.warnings
