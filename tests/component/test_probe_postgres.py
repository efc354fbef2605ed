"""The PostgreSQL probes against real servers: what they measure, and that they never change anything."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import psutil
import psycopg
import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.model.units import Unit
from healthd.probes.base import Observation
from healthd.probes.postgres import PostgresConnectionsProbe, PostgresProbe, PostgresQueryProbe
from tests.component.looking import Looker, evidence, looking, values
from tests.servers.postgres import PostgresServer, system_binaries


@pytest.fixture
async def server() -> AsyncIterator[Looker]:
    async with looking(PostgresProbe()) as looker:
        yield looker


@pytest.fixture
async def query() -> AsyncIterator[Looker]:
    async with looking(PostgresQueryProbe()) as looker:
        yield looker


@pytest.fixture
async def connections() -> AsyncIterator[Looker]:
    async with looking(PostgresConnectionsProbe()) as looker:
        yield looker


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server of this module's own, to stop, pause and fill up."""
    server = PostgresServer(settings={"max_connections": "12", "superuser_reserved_connections": "3"})
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer) -> str:
    """A database with a table of three rows."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, state text, paid numeric)")
        connection.execute("INSERT INTO orders (state, paid) VALUES ('new', 10.5), ('new', NULL), ('sent', 3)")
    return url


def units(seen: Observation) -> dict[str, Unit | None]:
    return {m.name: m.unit for m in seen.measurements}


def sessions(url: str) -> list[int]:
    """The server processes of healthd's sessions."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'healthd'").fetchall()
    return [pid for (pid,) in found]


@contextmanager
def paused(server: PostgresServer) -> Iterator[None]:
    """Every process of the server is stopped: ports and connections stay, nothing is answered."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    postmaster.suspend()  # from here on it starts no further process
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def open_sockets() -> int:
    return sum(1 for fd in os.listdir("/proc/self/fd") if _is_socket(fd))


def _is_socket(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


# -- postgres: is it there


async def test_a_running_server(postgres: PostgresServer, server: Looker) -> None:
    seen = await server(url=postgres.url())
    measured = values(seen)
    assert (measured["up"], measured["in_recovery"]) == (1, 0)
    assert 0 < float(measured["latency"]) < float(measured["connect_time"]) < 5
    assert float(measured["version"]) >= 150000
    assert float(measured["uptime"]) > 0
    assert seen.note == ""


async def test_key_value_words_and_urls_of_object_mappers(postgres: PostgresServer, shop: str, server: Looker) -> None:
    words = f"host=127.0.0.1 port={postgres.port} user=healthd password={postgres.password} dbname=postgres"
    assert values(await server(url=words))["up"] == 1
    assert values(await server(url=f"{shop}?schema=public&connection_limit=5&pgbouncer=true"))["up"] == 1
    assert values(await server(url=shop.replace("postgresql://", "postgresql+asyncpg://")))["up"] == 1


async def test_refused(free_tcp_port_nobody_listens_on: int, server: Looker) -> None:
    seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{free_tcp_port_nobody_listens_on}/shop")
    assert values(seen) == {"up": 0}
    assert seen.note == f"connection refused (app@127.0.0.1:{free_tcp_port_nobody_listens_on}/shop)"


@pytest.fixture
def free_tcp_port_nobody_listens_on() -> int:
    from tests.servers.process import free_port

    return free_port()


async def test_unknown_host(server: Looker) -> None:
    seen = await server(url="postgresql://app:s3cret@db.invalid/shop")
    assert values(seen) == {"up": 0}
    assert "db.invalid" in seen.note
    assert "s3cret" not in seen.note


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "wrong-one"}, 'password authentication failed for user "healthd"'),
        ({"user": "nobody_known"}, 'password authentication failed for user "nobody_known"'),
        ({"dbname": "no_such_db"}, 'database "no_such_db" does not exist'),
    ],
)
async def test_our_own_account_is_wrong(
    postgres: PostgresServer, server: Looker, change: dict[str, str], says: str
) -> None:
    with pytest.raises(ProbeError) as caught:
        await server(url=postgres.url(**change))
    assert caught.value.kind == "auth"
    assert says in caught.value.reason
    assert "127.0.0.1" in caught.value.reason
    assert postgres.password not in caught.value.reason
    assert "wrong-one" not in caught.value.reason


async def test_tls_required_of_a_server_without(postgres: PostgresServer, server: Looker) -> None:
    with pytest.raises(ProbeError, match="SSL") as caught:
        await server(url=postgres.url() + "?sslmode=require")
    assert caught.value.kind == "auth"


async def test_no_entry_in_pg_hba(own: PostgresServer, server: Looker) -> None:
    rules = own.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all stranger 127.0.0.1/32 reject\n{before}")
    try:
        with psycopg.connect(own.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        with pytest.raises(ProbeError, match="stranger") as caught:
            await eventually_refused(server, own.url(user="stranger"))
        assert caught.value.kind == "auth"
    finally:
        rules.write_text(before)
        with psycopg.connect(own.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")


async def eventually_refused(server: Looker, url: str) -> None:
    """The new rules are in force once the postmaster has read them."""
    for _ in range(100):
        try:
            await server(url=url)
        except ProbeError as error:
            if "pg_hba" in error.reason:
                raise
        await asyncio.sleep(0.02)


async def test_the_last_connection_is_taken(own: PostgresServer, server: Looker, query: Looker) -> None:
    with psycopg.connect(own.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS ordinary")
        connection.execute("CREATE ROLE ordinary LOGIN PASSWORD 'word'")
    url = own.url(user="ordinary", password="word")
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with suppress(psycopg.OperationalError):
            while len(taken) < 30:
                taken.append(psycopg.connect(url))
        assert len(taken) < 10
        seen = await server(url=url)
        assert values(seen) == {"up": 0}
        assert "slots are reserved" in seen.note
        with pytest.raises(ProbeError) as caught:
            await query(url=url, query="SELECT 1 AS one")
        assert caught.value.kind == "exhausted"
    finally:
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 65536])
async def test_something_else_answers(answer: bytes, server: Looker) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{port}/shop")
    assert values(seen) == {"up": 0}
    assert seen.note
    assert "s3cret" not in seen.note


async def test_a_listener_that_never_answers(server: Looker) -> None:
    closed = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the probe hangs up
        writer.close()
        closed.set()

    async with await asyncio.start_server(silence, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server.timeout = timedelta(seconds=0.6)
        started = time.monotonic()
        seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{port}/shop")
        assert time.monotonic() - started < 0.6
        assert values(seen) == {"up": 0}
        assert "no answer within 600ms" in seen.note
        await asyncio.wait_for(closed.wait(), 5)


# -- faults over time


async def test_a_server_that_stops_and_comes_back(own: PostgresServer, server: Looker, query: Looker) -> None:
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1
    own.stop()
    try:
        assert values(await server(url=own.url())) == {"up": 0}
        with pytest.raises(ProbeError) as caught:
            await query(url=own.url(), query="SELECT 1 AS one")
        assert caught.value.kind == "refused"
    finally:
        own.start()
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1
    assert values(await server(url=own.url()))["up"] == 1


async def test_a_restart_between_two_looks_is_not_noticed(own: PostgresServer, query: Looker) -> None:
    await query(url=own.url(), query="SELECT 1 AS one")
    own.stop()
    own.start()
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1


async def test_a_server_that_hangs(own: PostgresServer, server: Looker, query: Looker) -> None:
    await query(url=own.url(), query="SELECT 1 AS one")
    await server(url=own.url())
    server.timeout = query.timeout = timedelta(seconds=0.8)
    before = open_sockets()
    with paused(own):
        started = time.monotonic()
        seen = await server(url=own.url())
        assert values(seen) == {"up": 0}
        assert "no answer within 800ms" in seen.note
        with pytest.raises(ProbeError) as caught:
            await query(url=own.url(), query="SELECT 1 AS one")
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 1.6
        await until(lambda: len(asyncio.all_tasks()) == 1)
        assert open_sockets() == before - 1  # the idle one that did not answer is gone, no other has come
    server.timeout = query.timeout = timedelta(seconds=5)
    assert values(await server(url=own.url()))["up"] == 1
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1


async def until(true: object) -> None:
    assert callable(true)
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


async def test_cancelled_in_the_middle_of_a_query(own: PostgresServer, query: Looker) -> None:
    before = open_sockets()
    query.timeout = timedelta(seconds=1)
    looking = asyncio.create_task(query(url=own.url(), query="SELECT 1 AS one FROM pg_sleep(30)"))
    await until(lambda: bool(sessions(own.url())))
    with paused(own):  # not even then does it wait for the server
        started = time.monotonic()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert time.monotonic() - started < 0.5
    await until(lambda: open_sockets() <= before and len(asyncio.all_tasks()) == 1)
    await until(lambda: not sessions(own.url()))  # the server ends the query at its own time-out


async def test_a_query_that_takes_too_long_is_ended_at_the_server(own: PostgresServer, query: Looker) -> None:
    query.timeout = timedelta(seconds=0.5)
    with pytest.raises(ProbeError) as caught:
        await query(url=own.url(), query="SELECT 1 AS one FROM pg_sleep(30)")
    assert caught.value.kind == "timeout"
    await until(lambda: not sessions(own.url()))


async def test_a_query_behind_a_lock(own: PostgresServer, query: Looker) -> None:
    with psycopg.connect(own.url()) as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS guarded (id int)")
        holder.commit()
        holder.execute("LOCK TABLE guarded")
        query.timeout = timedelta(seconds=0.8)
        with pytest.raises(ProbeError, match="lock") as caught:
            await query(url=own.url(), query="SELECT count(*) FROM guarded")
    assert caught.value.kind == "timeout"


async def test_many_checks_share_two_connections(postgres: PostgresServer, query: Looker) -> None:
    url = postgres.create_database()
    looks = [query(url=url, query=f"SELECT {n} AS n, pg_backend_pid() AS pid FROM pg_sleep(0.01)") for n in range(20)]
    seen = [values(observation) for observation in await asyncio.gather(*looks)]
    assert [measured["n"] for measured in seen] == list(range(20))
    assert len({measured["pid"] for measured in seen}) <= 2
    again = values(await query(url=url, query="SELECT pg_backend_pid() AS pid"))
    assert again["pid"] in {measured["pid"] for measured in seen}


async def test_a_connection_the_firewall_forgot(postgres: PostgresServer, query: Looker) -> None:
    """An idle connection that swallows everything does not make a healthy server look down."""
    async with Firewall(postgres.port) as firewall:
        url = postgres.url().replace(f":{postgres.port}/", f":{firewall.port}/")
        query.timeout = timedelta(seconds=2)
        await query(url=url, query="SELECT 1 AS one")
        firewall.forget()
        assert values(await query(url=url, query="SELECT 2 AS two"))["two"] == 2


async def test_a_pooler_that_takes_no_options(postgres: PostgresServer, query: Looker) -> None:
    async with Firewall(postgres.port, refuse=b"options") as pooler:
        url = postgres.url().replace(f":{postgres.port}/", f":{pooler.port}/")
        seen = values(await query(url=url, query="SELECT current_setting('transaction_read_only') AS read_only"))
        assert seen["read_only"] == "on"


class Firewall:
    """Passes TCP on to a port. `forget` swallows whatever comes over the connections there are.

    With `refuse`, a start-up packet that holds this word is answered as PgBouncer does.
    """

    def __init__(self, target: int, refuse: bytes = b"") -> None:
        self.target, self.refuse = target, refuse
        self.port = 0
        self._open: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Firewall:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        for forgotten in self._open:
            forgotten.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forgotten = asyncio.Event()
        self._open.append(forgotten)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._tasks.append(asyncio.create_task(self._pass(source, sink, writer, forgotten)))

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        gone: asyncio.Event,
    ) -> None:
        try:
            while data := await source.read(65536):
                if self.refuse and self.refuse + b"\0" in data:
                    text = b"SFATAL\0C08P01\0Munsupported startup parameter: " + self.refuse + b"\0\0"
                    client.write(b"E" + (len(text) + 4).to_bytes(4, "big") + text)
                    break
                if not gone.is_set():
                    sink.write(data)
        finally:
            sink.close()
            client.close()


# -- postgres_query: reading results


async def test_one_row_gives_a_measure_per_column(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT count(*) AS orders, sum(paid) AS paid, NULL::int AS none FROM orders;")
    assert values(seen) == {"rows": 1, "orders": 3, "paid": 13.5}


async def test_types(shop: str, query: Looker) -> None:
    sql = """
        SELECT interval '1 day 2 minutes' AS age, timestamptz '2026-01-02 03:04:05+02' AS at, true AS yes,
               1.5::numeric AS number, 'NaN'::float8 AS nan, 'word' AS word, '[1, {"a": 2}]'::jsonb AS doc,
               date '2026-01-02' AS day, 42::smallint AS queue_bytes, 7 AS lag_seconds, repeat('x', 500) AS long
    """
    seen = await query(url=shop, query=sql)
    measured = values(seen)
    assert (measured["age"], measured["at"], measured["yes"], measured["number"]) == (86520, 1767315845, 1, 1.5)
    assert str(measured["nan"]) == "nan"
    assert (measured["word"], measured["doc"]) == ("word", '[1, {"a": 2}]')
    assert measured["day"] == 1767312000
    assert len(str(measured["long"])) == 200
    told = units(seen)
    assert (told["age"], told["at"], told["word"]) == (Unit.SECONDS, Unit.TIMESTAMP, Unit.TEXT)
    assert (told["queue_bytes"], told["lag_seconds"], told["number"]) == (Unit.BYTES, Unit.SECONDS, None)


async def test_times_without_a_zone_are_in_the_session_zone(shop: str, query: Looker) -> None:
    url = f"{shop}?options=-c%20timezone%3DAsia/Tokyo"
    seen = values(await query(url=url, query="SELECT timestamp '2026-01-01 09:00' AS at"))
    assert seen["at"] == 1767225600


async def test_series(shop: str, query: Looker) -> None:
    sql = "SELECT state, count(*) AS orders FROM orders GROUP BY state"
    seen = await query(url=shop, query=sql, series="state")
    assert values(seen) == {"rows": 2, "orders{new}": 2, "orders{sent}": 1}


async def test_declared_measures_and_units(shop: str, query: Looker) -> None:
    sql = "SELECT 250 AS mean_exec_time, 80 AS used, '12 MB' AS size, 3 AS ignored"
    declared = {
        "latency": {"column": "mean_exec_time", "unit": "ms"},
        "used": {"column": "used", "unit": "%"},
        "size": {"column": "size", "unit": "bytes"},
    }
    seen = await query(url=shop, query=sql, measures=declared)
    assert values(seen) == {"rows": 1, "latency": 0.25, "used": 0.8, "size": 12e6}
    assert units(seen) == {"rows": "count", "latency": "seconds", "used": "ratio", "size": "bytes"}
    short = await query(url=shop, query=sql, measures={"depth": "ignored"})
    assert values(short) == {"rows": 1, "depth": 3}
    beside = await query(url=shop, query=sql, units={"mean_exec_time": "ms"})
    assert values(beside)["mean_exec_time"] == 0.25


async def test_an_empty_result_is_no_rows(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT id FROM orders WHERE state = 'lost'", measures={"id": "id"})
    assert values(seen) == {"rows": 0}


async def test_parameters_are_bound_not_pasted(shop: str, query: Looker) -> None:
    sql = "SELECT count(*) AS found FROM orders WHERE state = %(state)s AND id > %(after)s"
    assert values(await query(url=shop, query=sql, params={"state": "new", "after": 0}))["found"] == 2
    nasty = {"state": "new'; DROP TABLE orders; --", "after": 0}
    assert values(await query(url=shop, query=sql, params=nasty))["found"] == 0
    assert values(await query(url=shop, query="SELECT %s::int + %s::int AS sum", params=[1, 2]))["sum"] == 3
    assert values(await query(url=shop, query="SELECT count(*) AS n FROM orders WHERE state LIKE 'n%'"))["n"] == 2


async def test_a_million_rows_are_counted_not_read(shop: str, query: Looker) -> None:
    before = psutil.Process().memory_info().rss
    seen = await query(
        url=shop, query="SELECT n, repeat('x', 100) AS text FROM generate_series(1, 1000000) n", series="n"
    )
    assert values(seen)["rows"] == 1_000_000
    assert len(seen.measurements) == 1 + 1000
    assert "first 1000 of 1000000" in seen.note
    assert psutil.Process().memory_info().rss - before < 50e6


async def test_rows_without_a_series_are_counted(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT id, state FROM orders ORDER BY id")
    assert values(seen) == {"rows": 3}
    assert "series" in seen.note
    assert evidence(seen, "first rows of the result").splitlines()[:2] == ["id | state", "1 | new"]
    with pytest.raises(ProbeError, match="3 rows where one is expected"):
        await query(url=shop, query="SELECT id FROM orders", measures={"id": "id"})


@pytest.mark.parametrize(
    ("sql", "extra", "says"),
    [
        ("SELECT 1 AS a", {"measures": {"x": "b"}}, "no column 'b' in the result: it has a"),
        ("SELECT 1 AS a", {"series": "b"}, "no column 'b'"),
        ("SELECT 1 AS a", {"units": {"b": "ms"}}, "units names 'b'"),
        ("SELECT 1, 2", {}, "column 1 has no name"),
        ("SELECT 1 AS a, 2 AS a", {}, "called 'a'"),
        ("SELECT 1 AS rows", {}, "AS"),
        ("SELECT 'x' AS s, 1 AS n UNION ALL SELECT 'x', 2", {"series": "s"}, "'x' comes twice"),
        ("SELECT 'many' AS a", {"measures": {"a": {"column": "a", "unit": "bytes"}}}, "'many' is not a quantity"),
        ("SELECT id FROM no_such_table", {}, 'relation "no_such_table" does not exist'),
        ("SELECT 1/0 AS a", {}, "division by zero"),
        ("SELECT 'infinity'::timestamptz AS a", {}, "a value cannot be read"),
        ("SELECT a FROM", {}, "syntax error"),
    ],
)
async def test_what_cannot_be_read_is_said(
    shop: str, query: Looker, sql: str, extra: dict[str, object], says: str
) -> None:
    with pytest.raises(ProbeError) as caught:
        await query(url=shop, query=sql, **extra)
    assert says in caught.value.reason


async def test_an_unnamed_single_column_is_called_value(shop: str, query: Looker) -> None:
    assert values(await query(url=shop, query="SELECT 1")) == {"rows": 1, "value": 1}


# -- reading only


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


@pytest.fixture(scope="module")
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
    import re

    from healthd.probes.postgres.statement import check_statement

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


# -- postgres_connections


async def test_connections_against_their_limit(own: PostgresServer, connections: Looker) -> None:
    with psycopg.connect(own.url(), application_name="worker") as one, psycopg.connect(own.url()) as two:
        one.execute("SELECT 1")  # leaves its transaction open
        two.autocommit = True
        two.execute("SELECT 1")
        seen = await connections(url=own.url())
    measured = values(seen)
    assert (measured["used"], measured["max"], measured["reserved"]) == (3, 12, 3)
    assert measured["ratio"] == pytest.approx(3 / 9)
    assert (measured["active"], measured["idle"], measured["idle_in_transaction"]) == (1, 1, 1)
    assert measured["waiting"] == 0
    assert 0 < float(measured["oldest_transaction"]) < 60
    assert "healthd  worker" in evidence(seen, "most sessions by user and application")


async def test_sessions_waiting_for_a_lock(own: PostgresServer, connections: Looker) -> None:
    with psycopg.connect(own.url()) as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS guarded (id int)")
        holder.commit()
        holder.execute("LOCK TABLE guarded")
        async with await psycopg.AsyncConnection.connect(own.url()) as waiter:
            waiting = asyncio.create_task(waiter.execute("SELECT * FROM guarded"))
            for _ in range(200):
                if (measured := values(await connections(url=own.url())))["waiting"]:
                    break
            assert measured["waiting"] == 1
            holder.rollback()
            await waiting


async def test_connections_of_one_database(postgres: PostgresServer, shop: str, connections: Looker) -> None:
    name = shop.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 8')
        try:
            with psycopg.connect(shop), psycopg.connect(shop):
                measured = values(await connections(url=postgres.url(), database=name))
        finally:
            admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    assert (measured["used"], measured["max"], measured["ratio"]) == (2, 8, 0.25)
    with pytest.raises(ProbeError, match="no database 'shopp'"):
        await connections(url=postgres.url(), database="shopp")


async def test_an_ordinary_role_counts_all_and_says_what_it_cannot_see(
    own: PostgresServer, connections: Looker
) -> None:
    with psycopg.connect(own.url(), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'word'")
        url = own.url(user="plain", password="word")
        for _ in range(200):  # sessions of earlier tests take a moment to end
            if values(seen := await connections(url=url))["used"] == 2:
                break
        assert values(seen)["used"] == 2
        assert "idle" not in values(seen)
        assert "GRANT pg_monitor" in seen.note
        admin.execute("GRANT pg_monitor TO plain")
        seen = await connections(url=url)
        assert (values(seen)["idle"], seen.note) == (1, "")


# -- parameters


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("postgresql://app:pa%ss@db/shop", "percent-encoded"),
        ("postgresql://app:secretword@db:port/shop", "not a PostgreSQL connection string"),
        ("postgresql://app:secretword@db/shop?sslmod=require", "unknown option 'sslmod'"),
        ("secretword", "not a PostgreSQL connection string"),
    ],
)
async def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str, server: Looker) -> None:
    with pytest.raises(ValidationError) as caught:
        await server(url=url)
    assert says in str(caught.value)
    assert "secretword" not in str(caught.value)


async def test_tls(server: Looker) -> None:
    """Debian's server has OpenSSL; its default certificate is signed by nobody a client knows."""
    binaries = system_binaries()
    assert binaries is not None, "install Debian's postgresql package"
    tls = PostgresServer(binaries=binaries, settings={"ssl": "off"})
    try:
        _give_certificate(tls)
        tls.start()
        assert values(await server(url=tls.url() + "?sslmode=require"))["up"] == 1
        with pytest.raises(ProbeError, match="certificate") as caught:
            await server(url=tls.url() + "?sslmode=verify-full&sslrootcert=system")
        assert caught.value.kind == "auth"
    finally:
        tls.remove()


def _give_certificate(server: PostgresServer) -> None:
    import shutil

    import trustme

    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(server.data / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(server.data / "server.crt"))
    (server.data / "server.key").chmod(0o600)
    if server.system_user is not None:
        shutil.chown(server.data / "server.key", server.system_user)
        shutil.chown(server.data / "server.crt", server.system_user)
    with (server.data / "postgresql.conf").open("a") as conf:
        conf.write("ssl = 'on'\n")
