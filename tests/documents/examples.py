"""YAML of the pages: what each block is, and whether healthd takes those that are catalogues."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import yaml

from healthd.catalogue import CatalogueError, load
from healthd.loading import channel_options
from healthd.probes import PROBES
from healthd.settings import Settings
from tests.documents.pages import ROOT, Block

# by the keys that tell: what reads it, where that is not healthd
FOREIGN = {
    "scrape_configs": "prometheus",
    "groups": "rules",
    "receivers": "alertmanager",
    "apiVersion": "manifest",
    "rules": "permissions",
    "display_information": "slack app",
}
AROUND = "system: {name: shop, severity: SEV3}\n"
SCALE = "severities: {SEV1: {}, SEV2: {}, SEV3: {}, SEV4: {}}\n"
# An example may name what it does not show, and the page of a probe leaves out when its checks run. Everything else
# that healthd says of it is a mistake.
ELSEWHERE = re.compile(
    r"unknown (playbook|cadence|severity|channel|threshold row|check) |: no check '|nothing says when it runs"
)
LEFT_OUT = "# ..."


class _Environment(Mapping[str, str]):
    """Has every variable an example asks for that gives no default, as one that is configured would."""

    def __init__(self, text: str) -> None:
        self._names = set(re.findall(r"\$\{(\w+)\}", text))

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        for word, value in (
            ("REDIS", "redis://x"),
            ("DATABASE", "postgresql://x/x"),
            ("PG", "postgresql://x/x"),
            ("ORIGINAL", "postgresql://x/x"),
        ):
            if word in name:
                return value
        return "https://x.example/x" if name.endswith(("URL", "WEBHOOK", "ADDRESS")) else "whsec_" + "c2VjcmV0" * 4

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


VALUES = ROOT / "deploy/helm/healthd/values.schema.json"


def kind(block: Block) -> str:
    """`catalogue`, `values` (of the chart: the block says so), one of FOREIGN, or "" for what nobody knows."""
    if re.match(r"#.*\bvalues\.yaml\b", block.text):
        return "values"
    parsed = next(iter(yaml.safe_load_all(block.text)), None)
    if isinstance(parsed, list):
        keys = {key for entry in parsed if isinstance(entry, dict) for key in entry}
        known = {"probe": "catalogue", "alert": "rules", "record": "rules", "apiGroups": "permissions"}
        return next((what for key, what in known.items() if key in keys), "")
    if not isinstance(parsed, dict):
        return ""
    return next((what for key, what in FOREIGN.items() if key in parsed), "catalogue")


def not_of_the_chart(block: Block) -> list[str]:
    """What the chart's schema refuses."""
    errors = jsonschema.validators.validator_for(schema := json.loads(VALUES.read_text()))(schema)
    return [error.message for error in errors.iter_errors(yaml.safe_load(block.text))]


def mistakes(block: Block, folder: Path) -> list[str]:
    """What healthd finds wrong with an example of a catalogue."""
    text = block.text if isinstance(yaml.safe_load(block.text), dict) else "checks:\n" + block.text
    system = folder / "shop"
    system.mkdir()
    said = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    (system / ("system.yaml" if "system" in said else "example.yaml")).write_text(text)
    if "system" not in said:
        scale = "" if "severities" in said else SCALE
        (system / "system.yaml").write_text(AROUND + scale if scale else "system: {name: shop}\n")
    try:
        load([folder], probes=PROBES, channels=channel_options(), settings=Settings(), environment=_Environment(text))
    except CatalogueError as error:
        found = [problem for problem in error.problems if not ELSEWHERE.search(problem.message)]
        return [str(p) for p in found if not (LEFT_OUT in text and p.message.endswith("'probe' is missing"))]
    return []
