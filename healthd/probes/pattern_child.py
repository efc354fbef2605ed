"""A process that looks for one pattern in some texts, and may be ended while it does. Not imported: run by its path.

Reads a marshalled (pattern, flags, whole, texts, seconds of processor time) and writes, for each text, None or a tuple
of what was found: the whole and its groups.
"""

from __future__ import annotations

import marshal
import re
import resource
import sys

MEMORY = 1_000_000_000


def main() -> None:
    """Read, search, write."""
    pattern, flags, whole, texts, seconds = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - from its own parent
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    regex = re.compile(pattern, flags)
    search = regex.fullmatch if whole else regex.search
    found = ((m[0], *m.groups()) if (m := search(text)) is not None else None for text in texts)
    sys.stdout.buffer.write(marshal.dumps(list(found)))


main()
