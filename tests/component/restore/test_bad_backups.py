"""Backups that are damaged, cut short, missing, something else, or not to be trusted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.model.outcomes import ProbeError
from healthd.probes.restore.inspection import Inspector
from tests.component.looking import evidence, values
from tests.component.restore.conftest import Drill, Production, add_sum
from tests.servers.postgres import PostgresServer


@pytest.mark.probe_failure("restore_drill")
async def test_no_backup(production: Production, drill: Drill) -> None:
    seen = await drill(file=f"{production.folder}/*.dump")
    assert values(seen) == {"restored": 0, "leftovers": 0}
    assert seen.note == f"no backup is there that fits {production.folder}/*.dump"
    with pytest.raises(ProbeError, match="cannot look into /nowhere"):
        await drill(file="/nowhere/*.dump")


async def test_checksums(production: Production, drill: Drill) -> None:
    path = production.plain()
    required = await drill(file=str(path), checksum="required")
    assert (values(required)["restored"], values(required)["checksum_valid"]) == (0, 0)
    assert required.note == f"{path} has no .sha256 file beside it"
    add_sum(path)
    with path.open("a") as file:
        file.write("-- PostgreSQL database dump complete\n")
    changed = await drill(file=str(path))
    assert (values(changed)["restored"], values(changed)["checksum_valid"]) == (0, 0)
    assert changed.note == f"{path} does not have the sum in its .sha256 file"
    path.with_name("shop.sql.sha256").write_text("no sum")
    assert (await drill(file=str(path))).note == f"{path} is not listed in its .sha256 file"


def _half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _recompressed_half(path: Path) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: len(content) // 2]))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_half, "is cut short"),
        (_flip, "is damaged"),
        (_recompressed_half, "is cut short: the line that ends a dump is missing"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"BZh9\0\0"), "is compressed by bzip2: only gzip is undone here"),
        (lambda path: path.write_bytes(b"Salted__\0\0"), "is encrypted by openssl"),
        (lambda path: path.write_bytes(b"\x7fELF\0\0\0"), "is no dump of PostgreSQL (its first bytes are 7f 45"),
        (lambda path: path.write_bytes(gzip.compress(b"\x7fELF\0\0\0")), "is no dump of PostgreSQL"),
    ],
)  # fmt: skip
async def test_files_that_are_not_whole(
    production: Production, drill: Drill, harm: Callable[[Path], object], words: str
) -> None:
    path = production.plain_gz()
    harm(path)
    seen = await drill(file=str(path))
    assert values(seen)["restored"] == 0
    assert "errors" not in values(seen), "nothing was begun"
    assert seen.note.startswith(f"{path} {words}")


async def test_an_archive_cut_short(production: Production, quick: Drill) -> None:
    path = production.dump("shop.dump", "-F", "c")
    _half(path)
    seen = await quick(file=str(path))
    assert values(seen)["restored"] == 0
    assert float(values(seen)["errors"]) >= 1
    assert seen.note.startswith("restoring failed: could not read from input file: end of file")


@pytest.mark.probe("restore_drill")
async def test_a_dump_without_tables(quick: Drill, tmp_path: Path) -> None:
    path = tmp_path / "empty.sql"
    path.write_text("-- nothing here\n")
    found = values(await quick(file=str(path)))
    assert (found["restored"], found["tables"]) == (1, 0)


async def test_commands_in_a_dump_are_not_obeyed(production: Production, drill: Drill, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    tmp_path.chmod(0o777)
    wicked = (f"\\! touch {touched}", f"SELECT 1 \\g {touched}", f"\\o {touched}", "\\connect postgres")
    path = production.plain()
    path.write_text(path.read_text().replace("CREATE SCHEMA", "\n".join([*wicked, "CREATE SCHEMA"]), 1))
    seen = await drill(file=str(path))
    assert not touched.exists()
    assert values(seen)["restored"] == 0
    assert evidence(seen, "errors").count("restricted") >= len(wicked)


async def test_old_programs_are_told_apart(
    production: Production, drill: Drill, open_path: Path, postgres: PostgresServer
) -> None:
    """A psql before CVE-2025-8714 was mended: stood for by one that only says so."""
    old = open_path / "bin"
    old.mkdir()
    for name in ("initdb", "pg_restore", "psql"):
        (old / name).symlink_to(postgres.binaries / name)
    says = 'if [ "$1" = --version ]; then echo "postgres (PostgreSQL) 15.3"; exit; fi'
    (old / "postgres").write_text(f'#!/bin/sh\n{says}\nexec {postgres.binaries}/postgres "$@"\n')
    (old / "postgres").chmod(0o755)
    # initdb looks for postgres beside itself: where the links lead to
    with pytest.raises(ProbeError, match="cannot be kept from obeying commands inside a dump") as caught:
        await drill(file=str(production.plain()), binaries=old)
    assert caught.value.kind == "config"
    assert values(await drill(file=str(production.plain()), binaries=old, trust_dump=True))["restored"] == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(1, 500), max_size=20), st.integers(0, 2))
def test_what_is_decompressed_is_all_there(content: bytes, cuts: list[int], members: int) -> None:
    sent = b"".join(gzip.compress(content) for _ in range(members + 1))
    seen = Inspector()
    while sent:
        size = cuts.pop() if cuts else len(sent)
        seen.feed(sent[:size])
        sent = sent[size:]
    seen.end()
    if seen.compressed:  # the first piece may be a single byte
        assert (seen.content_size, seen.damage) == (len(content) * (members + 1), "")
        assert seen.head == (content * (members + 1))[: 1 << 13]
