"""Globs with dates in them: /backups/{date-1d:%Y-%m-%d}/**/*.sql.gz

*  ?  [abc]  [!abc]       within one name; a leading dot must be written
**                        any number of folders, also none; does not follow links to folders
{date:%Y%m%d}             the time of the look in the system's zone, as strftime writes it
{date-1d:%Y%m%d}          the same a day earlier (any duration: -12h, +1d)
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import datetime

from healthd.probes.date_template import DATE, check_dates, fill_dates

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Segment:
    """One name of the path. `fixed`: it must exist; `literal`: it is the name itself, nothing to search."""

    text: str
    literal: bool
    fixed: bool

    @property
    def recursive(self) -> bool:
        return self.text == "**"

    def fits(self, name: str) -> bool:
        """Whether a name found in a folder fits: like a shell, `*` does not find hidden files."""
        if name.startswith(".") and not self.text.startswith("."):
            return False
        return fnmatch.fnmatchcase(name, self.text)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A glob made ready for one moment: the folder that must exist, and what to look for below it."""

    base: str
    rest: tuple[Segment, ...]


def check_glob(glob: str) -> str:
    """The glob, if it can be used. Raises ValueError saying what is right."""
    if not glob.startswith("/"):
        raise ValueError(f"{glob!r} is not an absolute path: write it from /")
    try:
        check_dates(re.sub(r"\[[{}]\]", "", glob))
    except ValueError as error:
        raise ValueError(f"{error}; for alternatives write several globs, for a brace itself [{{]") from None
    for part in DATE.finditer(glob):
        if "/" in part["format"]:
            raise ValueError(f"{part[0]}: write a date template for each folder, without / inside")
    if any("**" in name and name != "**" for name in glob.split("/")):
        raise ValueError(f"{glob!r}: ** stands for folders and must be a whole name, as in /logs/**/*.log")
    return glob


def make_pattern(glob: str, local_now: datetime) -> Pattern:
    """Put the dates in and part the glob. `local_now` is in the system's zone."""
    segments = [_segment(name, local_now) for name in glob.split("/") if name]
    fixed = 0
    while fixed < len(segments) - 1 and segments[fixed].fixed:
        fixed += 1
    return Pattern("/" + "/".join(s.text for s in segments[:fixed]), tuple(segments[fixed:]))


def _segment(name: str, local_now: datetime) -> Segment:
    text = fill_dates(name, local_now)
    literal = not _MAGIC.search(text)
    return Segment(text, literal, fixed=literal and text == name)
