"""A check never changes anything, whatever its query says and whoever its role is."""

from __future__ import annotations

import re

import psycopg
import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes.postgres.statement import check_statement
from tests.component.looking import Looker, values

WRITES_THE_SERVER_STOPS = [
    "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone",
    "SELECT * INTO copied FROM orders",
    "SELECT id FROM orders FOR UPDATE",
    "SELECT spend()",
    "SELECT leave_read_only()",
    "SELECT run_program()",
    "(SELECT 1) UNION SELECT spend()",
    "VALUES (spend())",
]


@pytest.fixture(scope="package")
def with_functions(shop: str) -> str:
    with psycopg.connect(shop, autocommit=True) as connection:
        for name, body in (
            ("spend", "DELETE FROM orders"),
            ("leave_read_only", "SET TRANSACTION READ WRITE; DELETE FROM orders"),
            ("run_program", "EXECUTE 'CREATE TABLE made_by_a_check (id int)'"),
        ):
            connection.execute(
                f"CREATE FUNCTION {name}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN 1; END $$"
            )
    return shop


def contents(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        rows = connection.execute("SELECT * FROM orders ORDER BY id").fetchall()
        sequence = connection.execute("SELECT last_value FROM orders_id_seq").fetchall()
    return [*tables, *rows, *sequence]


@pytest.mark.parametrize("sql", WRITES_THE_SERVER_STOPS)
async def test_a_superuser_role_still_changes_nothing(with_functions: str, query: Looker, sql: str) -> None:
    before = contents(with_functions)
    with pytest.raises(ProbeError) as caught:
        await query(url=with_functions, query=sql)
    assert caught.value.kind in ("forbidden", "config"), caught.value.reason
    assert contents(with_functions) == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("INSERT INTO orders (state) VALUES ('x')", "INSERT is not a query"),
        ("SET TRANSACTION READ WRITE", "SET is not a query"),
        ("DO $$ BEGIN DELETE FROM orders; END $$", "DO is not a query"),
        ("COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'", "COPY is not a query"),
        ("CALL clean_up()", "CALL is not a query"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is not a query"),
        ("SHOW max_connections", "current_setting"),
        ("SELECT 1; DROP TABLE orders", "more than one statement"),
        ("ROLLBACK; DROP TABLE orders", "more than one statement"),
        ("SELECT 1 /* ; */; /**/ DROP TABLE orders", "more than one statement"),
        ("", "nothing is not a query"),
        ("SELECT nextval('orders_id_seq')", "nextval changes something"),
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "pg_terminate_backend changes something"),
        ("SELECT pg_catalog . PG_Cancel_Backend /* hidden */ (1)", "pg_cancel_backend changes something"),
        ('SELECT "pg_reload_conf"()', "pg_reload_conf changes something"),
        ('SELECT U&"pg_reload\\005fconf"()', "not read by healthd"),
        ("SELECT 1 --\r, pg_reload_conf()", "pg_reload_conf changes something"),
        ("SELECT E'a'\n'b\\' , ' || pg_reload_conf() || 'x' -- '", "continued"),
        ("SELECT E'\\'', pg_reload_conf(), E'\\''", "pg_reload_conf changes something"),
        ("SELECT $a$ $b$ $a$, pg_switch_wal(), $b$ $a$ $b$", "pg_switch_wal changes something"),
        ("SELECT 1 /* /* */ pg_x */, pg_switch_wal()", "pg_switch_wal changes something"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "set_config changes something"),
        ("SELECT pg_advisory_lock(1)", "pg_advisory_lock changes something"),
        ("SELECT dblink_exec('dbname=shop', 'DROP TABLE orders')", "dblink_exec changes something"),
        ("SELECT query_to_xml('select pg_reload' || '_conf()', true, true, '')", "query_to_xml changes something"),
        ("SELECT lo_export(1, '/tmp/x')", "lo_export changes something"),
        ("SELECT pg_stat_statements_reset()", "pg_stat_statements_reset changes something"),
        ("SELECT 'open", "quote is not closed"),
        ("SELECT /* open", "comment is not closed"),
    ],
)
async def test_statements_refused_when_the_catalogue_is_read(query: Looker, sql: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        await query(url="postgresql://app@db/shop", query=sql)
    assert says in str(caught.value)


async def test_words_that_only_look_like_acting(shop: str, query: Looker) -> None:
    sql = """
        SELECT 'SELECT pg_reload_conf(); DROP TABLE orders' AS text, $x$ pg_switch_wal() $x$ AS dollar -- pg_promote()
    """
    assert values(await query(url=shop, query=sql))["rows"] == 1


# Volatile in the server's eyes, yet they change nothing that outlives the transaction (or are stopped by it).
HARMLESS = (
    r"amvalidate|array_(sample|shuffle)|bernoulli|system|\w+handler|\w+_handler|clock_timestamp|timeofday|currtid2|currval"
    r"|lastval|dsnowball_\w+|gen_random_uuid|uuidv[47]|random\w*|setseed|current_query|txid_status|pg_sleep\w*"
    r"|lo_(close|get|lseek|lseek64|open|tell|tell64)|loread|plpgsql_\w+|pg_is_\w+|pg_jit_available|pg_collation_\w+"
    r"|pg_(available|current|last|get|control|ls|read|stat_file|show|safe|isolation|hba|ident|extension)\w*"
    r"|pg_(blocking_pids|database_\w+|\w+_size|lock_status|notification_queue_usage|partition_\w+|prepared_xact)"
    r"|pg_(sequence_last_value|xact_\w+|wal_summary_contents|replication_origin_\w*progress)"
    r"|pg_replication_origin_session_is_setup|pg_stat_(clear_snapshot|force_next_flush|get_\w+|have_stats)"
)


async def test_every_volatile_function_of_the_server_is_judged(shop: str, query: Looker) -> None:
    """A new server version that brings a new acting function makes this fail: then decide about it."""
    with psycopg.connect(shop) as connection:
        names = connection.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace "
            "AND provolatile = 'v' AND prokind = 'f' AND prorettype <> 'trigger'::regtype"
        ).fetchall()
    assert len(names) > 150
    open_question = []
    for (name,) in names:
        try:
            check_statement(f"SELECT {name}()")
        except ValueError:
            continue
        if not re.fullmatch(HARMLESS, name):
            open_question.append(name)
    assert open_question == []


async def test_a_session_lock_or_setting_of_one_look_does_not_reach_the_next(shop: str, query: Looker) -> None:
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION meddle() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM set_config('default_transaction_read_only', 'off', false); "
            "PERFORM set_config('statement_timeout', '0', false); RETURN 1; END $$"
        )
    await query(url=shop, query="SELECT meddle() AS m, pg_backend_pid() AS pid")
    names = ("default_transaction_read_only", "statement_timeout")
    sql = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    seen = values(await query(url=shop, query=sql))
    assert seen["default_transaction_read_only"] == "on"
    assert seen["statement_timeout"] != "0"
