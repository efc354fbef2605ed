"""Panels of Grafana dashboards as plain data: what Grafana 9 and newer read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
STATUS = {  # healthd_check_status
    "0": ("OK", "green"), "1": ("WARNING", "orange"), "2": ("CRITICAL", "red"), "3": ("UNKNOWN", "purple"),
}  # fmt: skip
Panel = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """PromQL and what its series are called."""

    expr: str
    legend: str = ""
    instant: bool = False


def stat(title: str, query: Query, *, unit: str = "short", colours: Sequence[tuple[float, str]] = ()) -> Panel:
    """One big number, coloured from the given values on."""
    steps = [{"color": colour, "value": value} for value, colour in colours]
    return _panel(
        "stat", title, [query],
        fieldConfig=_fields(unit, {"mode": "absolute", "steps": [{"color": "text", "value": None}, *steps]}),
        options={"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value" if steps else "none"},
    )  # fmt: skip


def series(title: str, *queries: Query, unit: str = "short", stacked: bool = False, note: str = "") -> Panel:
    """Lines over time. A query whose legend begins with "limit" is drawn as a dashed line."""
    custom = {"fillOpacity": 10 if stacked else 0, "stacking": {"mode": "normal" if stacked else "none"}}
    fields = _fields(unit, None, custom)
    fields["overrides"] = [
        {
            "matcher": {"id": "byRegexp", "options": "^limit.*"},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
            ],
        }
    ]
    return _panel(
        "timeseries", title, queries, description=note, fieldConfig=fields,
        options={"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    )  # fmt: skip


def timeline(title: str, query: Query) -> Panel:
    """The status of each check over time."""
    fields = _fields("short", None, {"fillOpacity": 80, "lineWidth": 0})
    fields["defaults"]["mappings"] = _mappings()
    options = {"mergeValues": True, "showValue": "never", "legend": {"showLegend": False}}
    return _panel("state-timeline", title, [query], fieldConfig=fields, options=options)


def table(title: str, query: Query, *, hidden: Sequence[str] = ("Time", "__name__", "instance", "job")) -> Panel:
    """One row per series, now."""
    fields = _fields("short", None)
    fields["overrides"] = [
        {
            "matcher": {"id": "byName", "options": "Value"},
            "properties": [
                {"id": "mappings", "value": _mappings()},
                {"id": "custom.cellOptions", "value": {"type": "color-background"}},
            ],
        }
    ]
    return _panel(
        "table", title, [Query(query.expr, query.legend, instant=True)], fieldConfig=fields,
        transformations=[{"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True)}}],
    )  # fmt: skip


Rows = Sequence[tuple[int, Sequence[Panel]]]  # each row's height and its panels


def dashboard(uid: str, title: str, rows: Rows, variables: Sequence[Panel] = ()) -> Panel:
    """Rows of panels, those of a row equally wide."""
    placed, y, number = [], 0, 0
    for height, panels in rows:
        width = WIDTH // len(panels)
        for index, panel in enumerate(panels):
            number += 1
            grid = {"x": index * width, "y": y, "w": width, "h": height}
            placed.append({**panel, "id": number, "gridPos": grid})
        y += height
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": uid, "title": title, "tags": ["healthd"], "schemaVersion": 38, "version": 1, "editable": True,
        "refresh": "30s", "time": {"from": "now-24h", "to": "now"}, "timezone": "", "panels": placed,
        "templating": {"list": [source, *variables]}, "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "healthd", "tags": ["healthd"], "asDropdown": True}],
    }  # fmt: skip


def variable(name: str, expr: str, *, several: bool = False) -> Panel:
    """A choice among the values of a label."""
    query = {"query": expr, "refId": "StandardVariableQuery"}
    return {
        "name": name, "type": "query", "label": name, "datasource": DATASOURCE, "query": query, "definition": expr,
        "refresh": 2, "sort": 1, "multi": several, "includeAll": several, **({"allValue": ".*"} if several else {}),
    }  # fmt: skip


def _panel(kind: str, title: str, queries: Sequence[Query], **more: Any) -> Panel:
    targets = [
        {
            "refId": chr(ord("A") + index), "expr": query.expr, "legendFormat": query.legend or "__auto",
            "datasource": DATASOURCE, "instant": query.instant, "range": not query.instant,
            **({"format": "table"} if query.instant else {}),
        }
        for index, query in enumerate(queries)
    ]  # fmt: skip
    return {"type": kind, "title": title, "datasource": DATASOURCE, "targets": targets, **more}


def _fields(unit: str, thresholds: Panel | None, custom: Panel | None = None) -> Panel:
    defaults: Panel = {"unit": unit}
    if thresholds is not None:
        defaults["thresholds"] = thresholds
    if custom is not None:
        defaults["custom"] = custom
    return {"defaults": defaults, "overrides": []}


def _mappings() -> list[Panel]:
    options = {value: {"text": text, "color": colour} for value, (text, colour) in STATUS.items()}
    return [{"type": "value", "options": options}]
