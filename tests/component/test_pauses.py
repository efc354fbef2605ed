"""What the collector does not see does not pile up. Each in a process of its own, whose heap is a daemon's."""

from __future__ import annotations

import subprocess
import sys

PER_ROUND = 500
START = f"""
import gc
from healthd.pauses import Pauses

def circles():
    '''Things only the collector can free.'''
    made = []
    for _ in range({PER_ROUND}):
        circle = []
        circle.append(circle)
        made.append(circle)
    return made
"""


def run(script: str) -> list[int]:
    """The numbers it prints."""
    done = subprocess.run([sys.executable, "-c", START + script], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_circles_in_use_at_the_wrong_moment_are_freed_in_the_end() -> None:
    settled, after = run("""
pauses = Pauses(some=1_000)
pauses.settle()
settled = gc.get_freeze_count()
for _ in range(max(50, 2 * settled // 500)):  # would triple it
    in_use = circles()
    pauses.age()
    del in_use
print(settled, gc.get_freeze_count())
""")
    assert after < settled * 1.3 + 3_000


def test_in_between_nothing_is_looked_at_again() -> None:
    before, after = run("""
pauses = Pauses()
pauses.settle()
before = gc.get_stats()[2]["collections"]
kept = circles()
pauses.age()
print(before, gc.get_stats()[2]["collections"])
""")
    assert after == before
