"""`{{name}}` in a step: what an earlier step captured. Pure. Any other braces are left as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def tidy(text: str) -> str:
    """The same with `{{ name }}` written `{{name}}`."""
    return _REFERENCE.sub(r"{{\1}}", text)


def whole(text: str) -> str | None:
    """The name, when the text is one reference and nothing else."""
    match = _REFERENCE.fullmatch(text.strip())
    return match[1] if match else None


def references(value: Any) -> Iterator[str]:
    """Every name that is referred to in a text, or in the texts of a JSON document."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def fill(text: str, values: Mapping[str, Any], encode: Callable[[str], str] = str) -> str:
    """The text with its references filled in. Raises KeyError for a name without a value."""
    return _REFERENCE.sub(lambda match: encode(as_text(values[match[1]])), text)


def fill_url(url: str, values: Mapping[str, Any]) -> str:
    """Parts of a URL are percent-encoded; a URL that is one reference is taken as it was captured."""
    return fill(url, values) if whole(url) else fill(url, values, lambda text: quote(text, safe=""))


def fill_json(value: Any, values: Mapping[str, Any]) -> Any:
    """A document with its texts filled in. A text that is one reference becomes the value itself: numbers stay."""
    if isinstance(value, str):
        name = whole(value)
        return values[name] if name is not None else fill(value, values)
    if isinstance(value, Mapping):
        return {fill(str(key), values): fill_json(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_json(item, values) for item in value]
    return value


def as_text(value: Any) -> str:
    """A captured value as it is written into a URL, a header or a body."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
