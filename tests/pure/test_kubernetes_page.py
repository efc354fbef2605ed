"""The examples of the page are a catalogue that can be used."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from healthd.catalogue import load
from healthd.probes import PROBES
from healthd.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/probes/kubernetes.md"


def test_the_examples_can_be_used(tmp_path: Path) -> None:
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if b.startswith("- name")]
    checks = re.sub(r"^(- name: .*)$", r"\1\n  every: 60s", "".join(blocks), flags=re.MULTILINE)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "system.yaml").write_text("system: {name: shop, title: Shop, timezone: UTC}\n")
    (folder / "checks.yaml").write_text(f"checks:\n{textwrap.indent(checks, '  ')}")
    catalogue = load([folder], probes=PROBES, channels={}, settings=Settings(), environment={})
    shown = {check.probe.type for check in catalogue.checks.values()}
    assert shown == {kind for kind in PROBES if kind.startswith("kubernetes_")}
