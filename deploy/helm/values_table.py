"""The table of values in the chart's README, made from values.yaml and the comments in it.

python -m deploy.helm.values_table
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "healthd"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"
_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<rest>.*)")


def rows(text: str) -> list[tuple[str, str, str]]:
    """(value, default as JSON, what its comment says) of every line that gives one of the two."""
    values = yaml.safe_load(text)
    found: list[tuple[str, str, str]] = []
    path: list[str] = []
    for line in text.splitlines():
        if not (match := _LINE.match(line)):
            continue
        path[len(match["indent"]) // 2 :] = [match["key"]]
        default, _, comment = match["rest"].partition("  # ")
        if default.strip() or comment:
            value = _at(values, path)
            shown = json.dumps(value) if default.strip() else ""
            found.append((".".join(path), shown, comment.strip()))
    return found


def table(text: str) -> str:
    """Markdown."""
    lines = ["| value | default | |", "| --- | --- | --- |"]
    for name, default, comment in rows(text):
        said = comment.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{name}` | {f'`{default}`' if default else ''} | {said} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str, text: str) -> str:
    """The README with the table between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table(text) + END + after


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def main() -> None:
    """Write it."""
    readme = CHART / "README.md"
    readme.write_text(with_table(readme.read_text(), (CHART / "values.yaml").read_text()), encoding="utf-8")


if __name__ == "__main__":
    main()
