"""What a person woken at three in the morning reads first: what is broken, since when, by how much, why, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]


def first_step(body: Body) -> dict[str, str] | None:
    """The first thing to do that has a command: what the diagnosis suggests, else to find out more, else to mend it."""
    diagnosis, playbook = body.get("diagnosis") or {}, body.get("playbook") or {}
    for finding in diagnosis.get("findings", ()):
        if finding.get("command"):
            return {"title": finding["text"], "command": finding["command"], "when": "", "from": "diagnosis"}
    for part in ("diagnostics", "remediation"):
        for step in playbook.get(part, ()):
            if step["command"]:
                return {"title": step["title"], "command": step["command"], "when": step["when"], "from": part}
    return None


def lead(body: Body) -> list[dict[str, Any]]:
    """The lines of it, in order; what is not known is left out."""
    incident = body["incident"]
    lines = [
        _line("What", f"{body['system']['title']}: {incident['title']}"),
        _line("Since", incident["opened_at"]),
        _line("Value", _value(body)),
        _line("Likely cause", _cause(body)),
    ]
    if step := body.get("first_step"):
        lines.append(_line("First command", step["command"], code=True))
    return [line for line in lines if line["text"]]


def _line(name: str, text: str, *, code: bool = False) -> dict[str, Any]:
    return {"name": name, "text": text, "code": code}


def _value(body: Body) -> str:
    """The worst value against its limit; without any, the reason. That something is not up says nothing: why does."""
    bad = [v for v in body["values"] if v["level"] != "ok" and v["limit"] and v["measure"] != "up"]
    if not bad:
        return str(body["incident"]["reason"])
    value = bad[0]
    name = f"{value['measure']} {value['series']}".strip()
    good = f" (target {value['target']})" if value["target"] else ""
    return f"{name} {value['text']}, limit {value['limit']}{good}"


def _cause(body: Body) -> str:
    """What the diagnosis found, else what the playbook says is usual."""
    findings = (body.get("diagnosis") or {}).get("findings", ())
    if findings:
        return str(findings[0]["text"])
    return str((body.get("playbook") or {}).get("likely_cause", ""))
