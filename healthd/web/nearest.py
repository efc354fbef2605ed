"""What somebody probably meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from healthd.web.problem import RequestError

MANY = 3_000  # names: comparing with more takes longer than a check may wait


def nearest(given: str, known: Iterable[str]) -> str:
    """ "did you mean ...?", empty where nothing comes near."""
    names = list(known)
    tail = given.rpartition("/")[2]
    same_name = [name for name in names if name.rpartition("/")[2] == tail][:3]
    near = same_name or get_close_matches(given[:200], names[:MANY], n=3)
    return f"did you mean {' or '.join(near)}?" if near else ""


def require_system(name: str, known: Collection[str]) -> None:
    """Raises RequestError 404, with the nearest, for a name of none; an empty one stands for all."""
    if name and name not in known:
        raise RequestError(404, f"no system {name[:100]!r}", nearest(name, known))
