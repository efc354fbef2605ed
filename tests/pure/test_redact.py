"""Secrets are found in every encoding that production says them back in, and looking for them takes linear time."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.model.redact import MASK, Redactor

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)
WORDS = st.text("abc xyz", max_size=6)


@given(SECRETS, WORDS, WORDS)
def test_however_it_is_encoded(secret: str, before: str, after: str) -> None:
    forms = {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret),
        json.dumps(secret)[1:-1], repr(secret)[1:-1],
    }  # fmt: skip
    redact = Redactor([secret])
    for form in forms:
        told = redact(f"{before}|{form}|{after}")
        assert MASK in told
        assert secret not in told.replace(MASK, "")


@given(st.text("abcdefgh0123456789!$", min_size=8, max_size=40), WORDS, WORDS)
def test_as_part_of_base64(secret: str, before: str, after: str) -> None:
    basic = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    told = Redactor([secret])(f"Basic {basic}")
    assert MASK in told
    left = told.replace("Basic ", "").split(MASK)
    assert all(len(part) <= 2 * len(before + after) + 6 for part in left)  # what is left is not the secret's


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgres://app:p@ss@db/x", "postgres://app:<redacted>@db/x"),
        ("redis://:pw@cache:6379", "redis://:<redacted>@cache:6379"),
        ("http://shop:8080/a@b", "http://shop:8080/a@b"),
        ("DB_PASSWORD=abc123 next", "DB_PASSWORD=<redacted> next"),
        ('{"user_token": "abc", "n": 1}', '{"user_token": "<redacted>", "n": 1}'),
        ("my-api-key.name: abc", "my-api-key.name: <redacted>"),
        ("Authorization: Basic dTpw", "Authorization: <redacted>"),
        ("3 tokens left, no secret", "3 tokens left, no secret"),
        ("forbidden: needs secretsmanager:ListSecrets (as x)", "forbidden: needs secretsmanager:ListSecrets (as x)"),
    ],
)
def test_what_looks_like_one(text: str, told: str) -> None:
    assert Redactor()(text) == told


HOSTILE = (
    "a", "a.", "a-", "password", "password.", "password ", "a://", "://a:", "http://u:p", "eyJaaaaaaaaaa-",
    "eyJaaaaaaaaaa.", "authorization", "bearer ", "-----BEGIN A", "-----BEGIN PRIVATE KEY-----END ", "a@b.", "\n", "'",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece: str) -> None:
    """What grows with the square of the length takes minutes for this much, and all of healthd waits meanwhile."""
    began = time.process_time()
    Redactor(["a secret value"])((piece * 100_000)[:100_000])
    assert time.process_time() - began < 2
