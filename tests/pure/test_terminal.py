"""What production said, on a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from healthd.cli.common import plain, shown

HOSTILE = "[red]\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u202c \x9b31m [/] [link=https://evil.example]x"


@given(st.text("[]/=red \x1b\x07\x9b\u202e\n\tß", max_size=60) | st.just(HOSTILE))
def test_it_is_text(text: str) -> None:
    assert not set("\x1b\x07\x9b\u202e") & set(shown(text))
    assert Text.from_markup(plain(text)).plain == shown(text)
    assert not Text.from_markup(plain(text)).spans
