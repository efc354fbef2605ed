"""Text and the small blocks every Slack message is made of, within Block Kit's limits.

Limits (https://docs.slack.dev/reference/block-kit/blocks): 50 blocks; a header 150 characters; a section's text
3000, its fields 10 of 2000 each; a context block 10 elements. Lengths are counted in UTF-16 units, the strictest
reading, after escaping. Everything that comes from outside is escaped, so nothing in it can mention or link.
"""

from __future__ import annotations

from typing import Any

Block = dict[str, Any]

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_TEXT = 3000
MAX_LINK = 2000

# what Slack says of blocks it does not take: the text alone is better than nothing, or than waiting for a correction
REFUSED = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long")

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """`text` with Slack's three special characters escaped, cut to `limit` without cutting an escape in two."""
    pieces: list[str] = []
    length = 0
    for character in text:
        piece = _ESCAPES.get(character, character)
        length += width(piece)
        pieces.append(piece)
        if length > limit:
            break
    else:
        return "".join(pieces)
    while length > limit - 1:
        length -= width(pieces.pop())
    return "".join(pieces) + "…"


def width(text: str) -> int:
    """Length in UTF-16 units: an emoji counts two."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """As escape, for plain text, in which nothing is special."""
    if width(text) <= limit:
        return text
    while width(text) > limit - 1:
        text = text[: len(text) - max(1, (width(text) - limit) // 2)]
    return text + "…"


def header(line: str) -> Block:
    """One line in large letters."""
    text = cut(" ".join(line.split()), MAX_HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def mrkdwn(text: str) -> dict[str, Any]:
    """A text object of escaped text."""
    # verbatim: Slack shall not make links, channels or mentions out of plain words
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str) -> Block:
    """A paragraph of escaped text."""
    return {"type": "section", "text": mrkdwn(text)}


def context(*texts: str) -> Block:
    """Small print: escaped texts side by side."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts if text.strip()]}


def code(text: str, limit: int) -> str:
    """A block of code."""
    # three backticks would end the block early: kept apart by characters without width
    text = text.strip().replace("```", "`\u200b`\u200b`")
    return f"```\n{escape(text, limit)}\n```"


def link(title: str, url: str) -> str:
    """A link where the address is one for a browser, otherwise its text (a runbook may be a file's path)."""
    if not url or width(url) > MAX_LINK // 5:
        return ""
    if not url.startswith(("http://", "https://")):
        return f"{title}: {escape(url, MAX_LINK)}"
    safe = url.replace("|", "%7C").replace(" ", "%20").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
    return f"<{safe}|{title}>"
