"""Small pictures for reports: a line of recent values, bars of counts. Pure; colours are the page's, by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 120, 28, 3


def sparkline(points: Sequence[float], title: str) -> str:
    """The course of a value as an SVG element; "" for fewer than two points. `title` is read out to who cannot see."""
    if len(points) < 2:
        return ""
    low, high = min(points), max(points)
    span = (high - low) or 1.0
    step = (WIDTH - 2 * MARGIN) / (len(points) - 1)
    floor = HEIGHT / 2 if high == low else HEIGHT - MARGIN
    path = " ".join(
        f"{MARGIN + index * step:.1f},{floor - (value - low) / span * (HEIGHT - 2 * MARGIN):.1f}"
        for index, value in enumerate(points)
    )
    end_x, end_y = path.rpartition(" ")[2].split(",")
    return (
        f'<svg class="sparkline" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>"
        f'<polyline points="{path}"/><circle cx="{end_x}" cy="{end_y}" r="2"/></svg>'
    )


def proportions(counts: Mapping[str, int], title: str) -> str:
    """One bar divided by counts (level -> number), in their order; "" when there are none."""
    total = sum(counts.values())
    if not total:
        return ""
    left, parts = 0.0, []
    for level, count in counts.items():
        width = 100 * count / total
        parts.append(f'<rect class="{escape(level)}" x="{left:.2f}" y="0" width="{width:.2f}" height="10"/>')
        left += width
    return (
        '<svg class="proportions" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
