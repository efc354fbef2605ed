"""What healthd's own log shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILS = """
import structlog
from healthd.logs import configure
configure({form!r})
def ask(password):
    raise KeyError("no answer")
try:
    ask("s3cr3t-" + "word")
except KeyError as error:
    structlog.get_logger().error("a probe failed", exc_info=error)
"""


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_a_traceback_shows_no_values(form: str) -> None:
    ran = subprocess.run([sys.executable, "-c", FAILS.format(form=form)], capture_output=True, text=True, check=True)
    assert "in ask" in ran.stderr
    assert "KeyError: 'no answer'" in ran.stderr
    assert "s3cr3t-word" not in ran.stderr
