"""Regular expressions as parameters, and looking for them in what production says, in bounded time.

`re` cannot be stopped and lets nothing else run meanwhile. So what might take long in the worst case (by the pattern's
form and the text's length) is looked for in a process of its own, which is ended when it takes too long.
"""

from __future__ import annotations

import asyncio
import marshal
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import AnyStr, TypeVar

from healthd.model.pattern_cost import steps
from healthd.probes.base import ProbeError

__all__ = ["apart_if_costly", "cheap_size", "costly", "regular_expression", "search", "search_all"]

T = TypeVar("T")
CHEAP = 1e7  # steps: some hundredths of a second
SECONDS = 1  # of processor time
_CHILD = Path(__file__).with_name("pattern_child.py")


def regular_expression(text: str) -> str:
    """`text` itself if it is one. Raises ValueError saying what is wrong with it."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text[:200]!r} is not a regular expression: {error}") from None
    return text


def costly(pattern: str, size: int, flags: int = 0) -> bool:
    """Whether looking for it in a text of `size` characters may hold others up."""
    return steps(re.compile(pattern, flags), size) > CHEAP


def cheap_size(regex: re.Pattern[bytes], most: int) -> int:
    """The longest text, up to `most`, in which looking for it is not costly whatever the text."""
    if steps(regex, most) <= CHEAP:
        return most
    size = most
    while size > 1 and steps(regex, size) > CHEAP:
        size = size * 3 // 4
    return size


def search(pattern: AnyStr, text: AnyStr, flags: int = 0) -> Sequence[AnyStr | None] | None:
    """What is found first: the whole and its groups; None when nothing is.

    Blocks for a second or two; raises ProbeError (kind limit) when it takes longer.
    """
    return search_all(re.compile(pattern, flags), [text])[0]


def search_all(
    regex: re.Pattern[AnyStr], texts: Sequence[AnyStr], *, whole: bool = False
) -> list[Sequence[AnyStr | None] | None]:
    """The same for several texts, together in that time. `whole`: it must match a text from beginning to end."""
    if sum(steps(regex, len(text)) for text in texts) > CHEAP:
        return _in_child(regex, texts, whole)
    found = [regex.fullmatch(text) if whole else regex.search(text) for text in texts]
    return [_groups(match) if match is not None else None for match in found]


def _groups(match: re.Match[AnyStr]) -> Sequence[AnyStr | None]:
    return match.group(0, *range(1, match.re.groups + 1)) if match.re.groups else (match[0],)


async def apart_if_costly(looks: Iterable[tuple[str, int]], work: Callable[[], T]) -> T:
    """`work()`, which looks for these patterns in texts of these sizes: in a thread if that may take time."""
    if any(costly(pattern, size) for pattern, size in looks):
        return await asyncio.to_thread(work)
    return work()


def _in_child(regex: re.Pattern[AnyStr], texts: Sequence[AnyStr], whole: bool) -> list[Sequence[AnyStr | None] | None]:
    asked = marshal.dumps((regex.pattern, int(regex.flags) & ~int(re.DEBUG), whole, list(texts), SECONDS))
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", _CHILD],
            input=asked,
            capture_output=True,
            timeout=SECONDS * 2,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(regex) from None
    if done.returncode != 0:
        raise _too_slow(regex)
    return marshal.loads(done.stdout)  # type: ignore[no-any-return]  # noqa: S302 - from our own child


def _too_slow(regex: re.Pattern[AnyStr]) -> ProbeError:
    pattern = regex.pattern if isinstance(regex.pattern, str) else regex.pattern.decode(errors="replace")
    return ProbeError(
        f"looking for {pattern[:200]!r} took more than {SECONDS} s of processor time in what came, and was stopped: "
        "avoid repetitions within repetitions, and one .* after the other",
        "limit",
    )
