"""The probes postgres_roles and postgres_settings."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from healthd.model.units import Unit
from healthd.probes.postgres import PostgresRolesProbe, PostgresSettingsProbe
from tests.component.looking import Looker, evidence, values
from tests.component.postgres.test_replication import MakeLooker
from tests.servers.postgres import PostgresServer


@pytest.fixture
def roles(looker: MakeLooker) -> Looker:
    return looker(PostgresRolesProbe())


@pytest.fixture
def settings(looker: MakeLooker) -> Looker:
    return looker(PostgresSettingsProbe())


MADE = ("r_admin", "r_server", "r_report", "r_old", "r_group")


@pytest.fixture
def staffed(postgres: PostgresServer, plain: str) -> Iterator[str]:
    """A database, and roles of which some may more than they should."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE r_admin LOGIN SUPERUSER PASSWORD 'x'")
        admin.execute("CREATE ROLE r_server LOGIN CREATEROLE")
        admin.execute("GRANT pg_read_server_files TO r_server")
        admin.execute("CREATE ROLE r_report LOGIN VALID UNTIL 'infinity'")
        admin.execute("CREATE ROLE r_old LOGIN")
        admin.execute("CREATE ROLE r_group")
        admin.execute("CREATE TABLE orders (id int)")
        admin.execute("CREATE TABLE prices (id int)")
        admin.execute("GRANT SELECT ON orders TO r_report")
        yield url
        admin.execute("DROP TABLE orders, prices")
        admin.execute(f"DROP ROLE {', '.join(MADE)}")


async def test_what_is_counted_without_expectations(staffed: str, plain: str, roles: Looker) -> None:
    url = f"{plain.rsplit('/', 1)[0]}/{staffed.rsplit('/', 1)[1]}"  # whoever may log in sees it all
    seen = await roles(url=url)
    measured = values(seen)
    with psycopg.connect(staffed) as admin:
        logins = admin.execute("SELECT count(*) FROM pg_roles WHERE rolcanlogin").fetchone()
    assert (measured["superusers"], measured["privileged"], (measured["logins"],)) == (2, 1, logins)
    assert (measured["public_create"], measured["public_tables"], measured["passwords_expired"]) == (0, 0, 0)
    assert not any("unexpected" in name or "days_left" in name for name in measured)
    assert seen.evidence == ()


async def test_who_is_not_expected(staffed: str, roles: Looker) -> None:
    expected = {"superusers": "healthd", "logins": ["[!r]*", "r_*e*"], "privileged": []}
    seen = await roles(url=staffed, **expected, grantees="r_group")
    measured = values(seen)
    assert (measured["unexpected_superusers"], measured["unexpected_privileged"]) == (1, 1)
    assert measured["unexpected_logins"] == 2
    assert measured["unexpected_grants"] == 1
    assert evidence(seen, "unexpected superusers") == "r_admin: superuser"
    assert evidence(seen, "unexpected privileged") == "r_server: CREATEROLE, pg_read_server_files"
    assert evidence(seen, "unexpected logins") == "r_admin: superuser\nr_old: nothing special"
    assert evidence(seen, "unexpected grants") == "r_report: SELECT on table public.orders"
    fine = {"superusers": "*", "logins": "*", "privileged": "r_serv*", "grantees": ["r_report"]}
    seen = await roles(url=staffed, **fine)
    assert [values(seen)[f"unexpected_{kind}"] for kind in ("superusers", "logins", "privileged", "grants")] == [0] * 4
    assert seen.evidence == ()


async def test_what_everybody_may_do(staffed: str, roles: Looker) -> None:
    with psycopg.connect(staffed, autocommit=True) as admin:
        admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        admin.execute("GRANT SELECT, INSERT ON prices TO PUBLIC")
    seen = await roles(url=staffed)
    assert (values(seen)["public_create"], values(seen)["public_tables"]) == (1, 1)
    shown = evidence(seen, "what everybody may do").splitlines()
    assert shown == ["PUBLIC: CREATE, USAGE on schema public", "PUBLIC: INSERT, SELECT on table public.prices"]
    seen = await roles(url=staffed, grantees="r_*")
    assert values(seen)["unexpected_grants"] == 2
    assert values(await roles(url=staffed, grantees=["r_*", "PUBLIC"]))["unexpected_grants"] == 0


async def test_grants_on_columns_and_those_of_extensions(staffed: str, roles: Looker) -> None:
    with psycopg.connect(staffed, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")  # lets everybody read its views
        admin.execute("ALTER TABLE prices ADD secret text")
        admin.execute("GRANT SELECT (secret) ON prices TO r_old")
        seen = await roles(url=staffed, grantees="r_report")
        assert values(seen)["unexpected_grants"] == 1
        assert values(seen)["public_tables"] == 0
        assert evidence(seen, "unexpected grants") == "r_old: SELECT on column public.prices.secret"
        admin.execute("GRANT DELETE ON pg_stat_statements TO PUBLIC")  # more than the extension does
    seen = await roles(url=staffed, grantees="r_*")
    assert (values(seen)["unexpected_grants"], values(seen)["public_tables"]) == (1, 1)
    assert evidence(seen, "unexpected grants") == "PUBLIC: DELETE on table public.pg_stat_statements"


@pytest.mark.probe("postgres_roles")
async def test_passwords_that_run_out(staffed: str, roles: Looker) -> None:
    with psycopg.connect(staffed, autocommit=True) as admin:
        admin.execute("DO $$ BEGIN EXECUTE format('ALTER ROLE r_old VALID UNTIL %L', now() - interval '1 day'); END $$")
        admin.execute("DO $$ BEGIN EXECUTE format('ALTER ROLE r_server VALID UNTIL %L', now() + '10 days'); END $$")
        admin.execute("DO $$ BEGIN EXECUTE format('ALTER ROLE r_group VALID UNTIL %L', now()); END $$")
    seen = await roles(url=staffed)
    measured = values(seen)
    assert measured["passwords_expired"] == 1
    assert measured["password_days_left{r_server}"] == pytest.approx(10, abs=0.01)
    assert measured["password_days_left{r_old}"] == pytest.approx(-1, abs=0.01)
    assert len([name for name in measured if "days_left" in name]) == 2
    assert {m.unit for m in seen.measurements if m.name == "password_days_left"} == {Unit.DAYS}


@pytest.mark.probe("postgres_settings")
async def test_settings_in_base_units(postgres: PostgresServer, plain: str, settings: Looker) -> None:
    names = [
        "max_connections", "shared_buffers", "checkpoint_timeout", "wal_level", "fsync", "random_page_cost",
        "deadlock_timeout", "autovacuum_work_mem", "DateStyle", "max_wal_size",
    ]  # fmt: skip
    seen = await settings(url=plain, settings=names)
    measured = values(seen)
    assert (measured["max_connections"], measured["shared_buffers"], measured["fsync"]) == (100, 128 * 2**20, "off")
    assert (measured["checkpoint_timeout"], measured["deadlock_timeout"]) == (300, 1)
    assert (measured["wal_level"], measured["random_page_cost"], measured["max_wal_size"]) == ("replica", 4, 2**30)
    assert (measured["autovacuum_work_mem"], measured["pending_restart"]) == (-1, 0)
    units = {m.name: m.unit for m in seen.measurements}
    assert (units["shared_buffers"], units["checkpoint_timeout"]) == (Unit.BYTES, Unit.SECONDS)
    assert (units["max_connections"], units["wal_level"]) == (None, Unit.TEXT)
    assert values(await settings(url=plain, settings={"log": "log_destination"}))["log"] == "stderr"


async def test_what_healthd_sets_for_itself_is_no_setting_of_the_server(
    postgres: PostgresServer, plain: str, settings: Looker
) -> None:
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute("ALTER ROLE plain SET lock_timeout = '7s'")
        try:
            found = values(await settings(url=f"{plain}?application_name=settings", settings=names))
        finally:
            admin.execute("ALTER ROLE plain RESET lock_timeout")
    assert [found[name] for name in names] == [0, 7, 0]


async def test_settings_that_wait_for_a_restart(own: PostgresServer, settings: Looker) -> None:
    with psycopg.connect(own.url(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET max_connections = 50")
        admin.execute("SELECT pg_reload_conf()")
        try:
            for _ in range(200):
                seen = await settings(url=own.url())
                if values(seen)["pending_restart"]:
                    break
        finally:
            admin.execute("ALTER SYSTEM RESET max_connections")
            admin.execute("SELECT pg_reload_conf()")
    assert values(seen) == {"pending_restart": 1}
    assert evidence(seen, "waiting for a restart") == "max_connections"


@pytest.mark.probe_failure("postgres_settings")
async def test_settings_that_are_not_there(plain: str, settings: Looker) -> None:
    with pytest.raises(ProbeError, match=r"no setting 'max_conections' .*did you mean 'max_connections'") as caught:
        await settings(url=plain, settings="max_conections")
    assert caught.value.kind == "missing"
    seen = await settings(url=plain, settings=["fsync", "data_directory"])
    assert values(seen)["fsync"] == "off"
    assert "pg_read_all_settings" in seen.note
