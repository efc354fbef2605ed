"""Markdown, as notices carry it, in the forms that channels show: Slack's mrkdwn, HTML and plain text. Pure.

What reports and people write is understood: headings, lists, bold, italics, code, links, tables, quotes, fences. All
else stays as it is written, and nothing in it can mention somebody, link elsewhere or become markup of a channel.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from healthd.notify.slack_text import MAX_TEXT, code, escape, link, width

_INLINE = re.compile(
    r"`(?P<code>[^`\n]{1,500})`"
    r"|\[(?P<label>[^\[\]\n]{1,300})\]\((?P<url>https?://[^()\s<>]{1,1000})\)"
    r"|\*\*(?P<bold>[^*\n]{1,1000})\*\*"
    r"|(?<![\w*])\*(?P<italic>[^*\s][^*\n]{0,1000})\*(?![\w*])"
    r"|(?<![\w_])_(?P<under>[^_\s][^_\n]{0,1000})_(?![\w_])"
)
_RULE_OF_TABLE = re.compile(r"\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?")
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*")
_ITEM = re.compile(r"(\s*)(?:[-*+•]|(\d{1,4})[.)])\s+(.*)")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text: `kind` is heading, item, quote, text, code, table or gap. `depth` of an item, from 0."""

    kind: str
    text: str
    depth: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


def parts(text: str) -> Iterator[Part]:
    """The pieces in their order; each line of plain text is one."""
    lines = text.replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.lstrip().startswith("```"):
            end = _find(lines, index + 1, lambda other: other.strip().startswith("```"))
            yield Part("code", "\n".join(lines[index + 1 : end]))
            index = end + 1
        elif "|" in line and index + 1 < len(lines) and _RULE_OF_TABLE.fullmatch(lines[index + 1].strip()):
            end = _find(lines, index + 2, lambda other: "|" not in other)
            yield Part("table", "", rows=tuple(_cells(row) for row in (line, *lines[index + 2 : end])))
            index = end
        else:
            yield _line(line)
            index += 1


def to_slack(text: str, limit: int = MAX_TEXT) -> list[str]:
    """Texts for section blocks, each within `limit`; as many as it takes."""
    sections: list[str] = []
    current = ""
    for part in parts(text):
        piece = _slack(part, limit)
        if current and width(current) + width(piece) + 1 > limit:
            sections.append(current.strip("\n"))
            current = ""
        current += ("\n" if current else "") + piece
    return [found for found in (*sections, current.strip("\n")) if found.strip()]


def to_plain(text: str) -> str:
    """For channels that show text as it is."""
    lines = []
    for part in parts(text):
        if part.kind == "table":
            lines.append(_aligned(part.rows))
        elif part.kind == "item":
            lines.append(f"{'  ' * part.depth}• {_inline_plain(part.text)}")
        else:
            lines.append(part.text if part.kind == "code" else _inline_plain(part.text))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def to_html(text: str) -> str:
    """For e-mail: paragraphs, lists and tables without scripts, styles or pictures."""
    out: list[str] = []
    for part in parts(text):
        match part.kind:
            case "heading":
                out.append(f"<h3>{_inline_html(part.text)}</h3>")
            case "item":
                out.append(f"<div>{'&nbsp;' * 4 * part.depth}• {_inline_html(part.text)}</div>")
            case "quote":
                out.append(f"<blockquote>{_inline_html(part.text)}</blockquote>")
            case "code":
                out.append(f"<pre>{html.escape(part.text)}</pre>")
            case "table":
                out.append(_html_table(part.rows))
            case "gap":
                out.append("<br>")
            case _:
                out.append(f"<div>{_inline_html(part.text)}</div>")
    return "\n".join(out)


def _line(line: str) -> Part:
    if not line.strip():
        return Part("gap", "")
    if heading := _HEADING.fullmatch(line.strip()):
        return Part("heading", heading[1])
    if item := _ITEM.fullmatch(line):
        number = f"{item[2]}. " if item[2] else ""
        return Part("item", number + item[3], min(len(item[1]) // 2, 4))
    if line.lstrip().startswith(">"):
        return Part("quote", line.lstrip()[1:].strip())
    return Part("text", line)


def _slack(part: Part, limit: int) -> str:
    match part.kind:
        case "code":
            return code(part.text, limit - 10)
        case "table":
            return code(_aligned(part.rows), limit - 10)
        case "heading":
            return f"*{escape(re.sub(r'[*_`]', '', part.text), 500)}*"
        case "item":
            return f"{'    ' * part.depth}• {_inline_slack(part.text, limit - 60)}"
        case "quote":
            return f"_{escape(part.text, limit - 10)}_" if part.text else ""
    return _inline_slack(part.text, limit - 10)


def _inline_slack(text: str, limit: int) -> str:
    """One line. Marks that would not fit are left out, so that no half of one remains."""
    out = ""
    for mark, kind, url in _inline(text):
        left = limit - width(out)
        wrapped = _marked_slack(mark, kind, url)
        if width(wrapped) <= left:
            out += wrapped
            continue
        return out + escape(mark, max(left, 1))
    return out


def _marked_slack(text: str, kind: str, url: str) -> str:
    plain = escape(text)
    match kind:
        case "bold":
            return f"*{plain}*"
        case "italic":
            return f"_{plain}_"
        case "code":
            return f"`{plain}`"
        case "link":
            return link(plain.replace("|", "¦"), url) or plain
    return plain


def _inline_plain(text: str) -> str:
    return "".join(f"{mark} ({url})" if kind == "link" else mark for mark, kind, url in _inline(text))


def _inline_html(text: str) -> str:
    tags = {"bold": "b", "italic": "i", "code": "code"}
    out = ""
    for mark, kind, url in _inline(text):
        safe = html.escape(mark)
        if kind == "link":
            out += f'<a href="{html.escape(url)}">{safe}</a>'
        else:
            out += f"<{tags[kind]}>{safe}</{tags[kind]}>" if kind in tags else safe
    return out


def _inline(text: str) -> Iterator[tuple[str, str, str]]:
    """(text, kind, address): kind is "", bold, italic, code or link."""
    position = 0
    for match in _INLINE.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], "", ""
        position = match.end()
        if match["url"]:
            yield match["label"], "link", match["url"]
        elif match["code"]:
            yield match["code"], "code", ""
        elif match["bold"]:
            yield match["bold"], "bold", ""
        else:
            yield match["italic"] or match["under"], "italic", ""
    if position < len(text):
        yield text[position:], "", ""


def _cells(row: str) -> tuple[str, ...]:
    cells = re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))
    return tuple(cell.strip().replace("\\|", "|") for cell in cells)


def _aligned(rows: tuple[tuple[str, ...], ...]) -> str:
    plain = [[_inline_plain(cell) for cell in row] for row in rows]
    columns = max(len(row) for row in plain)
    widths = [max((len(row[i]) for row in plain if i < len(row)), default=0) for i in range(columns)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in plain)


def _html_table(rows: tuple[tuple[str, ...], ...]) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_inline_html(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows[1:])
    return f'<table border="1" cellpadding="4" cellspacing="0">{row(rows[0], "th")}{body}</table>'


def _find(lines: list[str], start: int, found: Callable[[str], bool]) -> int:
    """The first index from `start` whose line is `found`, or the end."""
    return next((i for i in range(start, len(lines)) if found(lines[i])), len(lines))
