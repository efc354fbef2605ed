"""The examples of docs/notifications.md and docs/channels load, and every option of a channel stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from healthd.loading import load_catalogue
from healthd.notify import CHANNELS
from healthd.notify.options import Options
from healthd.settings import load_settings

PAGES = [Path("docs/notifications.md"), *sorted(Path("docs/channels").glob("*.md"))]
EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n((?:channels|routes):.*?)```", page.read_text(), re.DOTALL))
]
CHECK = "system: {name: %s}\nseverities: {SEV1: {}, SEV2: {}, SEV4: {}}\n"
HOME = {"alertmanager": "alertmanager", "apprise": "apprise", "email": "email", "pagerduty": "pagerduty",
        "slack": "slack", "slack_bot": "slack", "teams": "teams", "webhook": "webhook"}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"\$\{(\w+)\}", example):
        address = name.endswith("_URL")
        monkeypatch.setenv(name, "https://example.com/x" if address else "whsec_" + "c2VjcmV0" * 4)
    for system in ("shop", "syncwatch"):
        (tmp_path / system).mkdir()
        (tmp_path / system / "system.yaml").write_text(CHECK % system)
    template = tmp_path / "message.j2"
    template.write_text("{{ headline }}\n")
    text = example.replace("/etc/healthd/message.j2", str(template))
    named = {name for group in re.findall(r"channels: \[([^\]]*)\]", example) for name in re.split(r",\s*", group)}
    made = "".join(f"  {name}: {{type: teams, webhook_url: https://x.example}}\n" for name in sorted(named))
    if example.startswith("routes:") and made:
        text = f"channels:\n{made}{text}"
    (tmp_path / "routes.yaml").write_text(text)
    catalogue = load_catalogue(load_settings({}), [str(tmp_path)])
    assert catalogue.channels or catalogue.routes


@pytest.mark.parametrize("type_", CHANNELS)
def test_every_option_stands_on_its_page(type_: str) -> None:
    text = Path(f"docs/channels/{HOME[type_]}.md").read_text()
    fields = CHANNELS[type_].Options.model_fields
    own = {info.alias or name for name, info in fields.items() if name not in Options.model_fields}
    assert not {name for name in own if f"`{name}`" not in text}


def test_every_common_option_is_explained() -> None:
    text = Path("docs/notifications.md").read_text()
    assert not {name for name in Options.model_fields if f"| `{name}` |" not in text}


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
    assert os.path.exists("healthd/notify/message.py")
