"""Drills with backups in S3, and drills that restore into a database on a given server."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from tests.component.looking import evidence, values
from tests.component.restore.conftest import USERS, Drill, Given, Production
from tests.servers.aws import KEYS, REGION, MotoServer, Refusal
from tests.servers.postgres import PostgresServer


@pytest.fixture
def bucket(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket; the credentials are in the environment, as for every AWS tool."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])
    name = f"backups-{secrets.token_hex(4)}"
    moto.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


async def test_the_newest_object(moto: MotoServer, bucket: str, production: Production, drill: Drill) -> None:
    s3, content = moto.client("s3"), production.plain_gz().read_bytes()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    key = f"db/{today}/shop.sql.gz"
    s3.put_object(Bucket=bucket, Key=f"db/{today}/readme.txt", Body=b"not this")
    s3.put_object(Bucket=bucket, Key=key, Body=content)
    s3.put_object(
        Bucket=bucket, Key=f"{key}.sha256", Body=f"{hashlib.sha256(content).hexdigest()} *shop.sql.gz".encode()
    )
    source = {"bucket": bucket, "prefix": "db/{date:%Y-%m-%d}/", "match": r"\.sql\.gz$", "region": REGION}
    source["endpoint_url"] = moto.url
    seen = await drill(s3=source, checksum="required", sanity=[{"query": "SELECT count(*) FROM users"}])
    found = values(seen)
    assert (found["restored"], found["checksum_valid"], found["backup_size"]) == (1, 1, len(content))
    assert found["sanity_value{SELECT count(*) FROM users}"] == USERS
    assert f"backup: s3://{bucket}/{key}" in evidence(seen, "steps")

    s3.put_object(Bucket=bucket, Key=key, Body=content[:-100])
    damaged = await drill(s3=source)
    assert (values(damaged)["restored"], values(damaged)["checksum_valid"]) == (0, 0)
    assert damaged.note == f"s3://{bucket}/{key} is cut short"

    none = await drill(s3={**source, "prefix": "elsewhere/"})
    assert values(none)["restored"] == 0


async def test_a_bucket_that_forbids(moto: MotoServer, bucket: str, drill: Drill) -> None:
    def refuse(_: object) -> dict[str, object]:
        raise Refusal("AccessDenied", "Access Denied", 403)

    source = {"bucket": bucket, "region": REGION, "endpoint_url": moto.url}
    moto.answers[("s3", "*")] = refuse
    try:
        with pytest.raises(ProbeError, match=f"s3:ListBucket on arn:aws:s3:::{bucket}") as caught:
            await drill(s3=source)
    finally:
        del moto.answers[("s3", "*")]
    assert caught.value.kind == "forbidden"
    with pytest.raises(ProbeError, match="bucket does not exist"):
        await drill(s3={**source, "bucket": "no-such-bucket"})


async def test_into_a_database_of_its_own(production: Production, given_server: Given, drill: Drill) -> None:
    before = given_server.databases()
    for path in (production.plain(), production.dump("shop.dump", "-F", "c"), production.directory()):
        seen = await drill(file=str(path), server=given_server.url, sanity=[{"query": "SELECT count(*) FROM users"}])
        assert seen.note == ""
        assert (values(seen)["restored"], values(seen)["tables"], values(seen)["sanity_ok"]) == (1, 2, 1)
        assert given_server.databases() == before
        path.unlink()


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("SUPERUSER", "is a superuser: a dump restored by it could change other databases"),
        ("CREATEROLE", "is allowed to manage roles or replication"),
        ("NOCREATEDB", "needs CREATEDB"),
    ],
)
async def test_roles_that_may_do_too_much_or_too_little(
    production: Production, given_server: Given, drill: Drill, grant: str, words: str
) -> None:
    given_server.ask(f"ALTER ROLE {given_server.role} {grant}")
    with pytest.raises(ProbeError, match=words) as caught:
        await drill(file=str(production.plain()), server=given_server.url)
    assert given_server.password not in str(caught.value)


async def test_a_role_with_databases_of_its_own(production: Production, given_server: Given, drill: Drill) -> None:
    given_server.ask(f"CREATE DATABASE theirs OWNER {given_server.role}")
    with pytest.raises(ProbeError, match=r"owns other databases \(theirs\): a dump restored by it could drop them"):
        await drill(file=str(production.plain()), server=given_server.url)


async def test_a_dump_cannot_reach_other_databases(
    production: Production, given_server: Given, drill: Drill, postgres: PostgresServer
) -> None:
    victim = postgres.create_database().rpartition("/")[2]
    path = production.plain()
    wicked = (
        f"DROP DATABASE {victim};\nALTER DATABASE {victim} RENAME TO gone;\n\\connect {victim}\nCREATE TABLE x ();\n"
    )
    path.write_text(path.read_text().replace("CREATE SCHEMA", f"{wicked}CREATE SCHEMA", 1))
    seen = await drill(file=str(path), server=given_server.url)
    assert values(seen)["restored"] == 0
    assert "must be owner of database" in evidence(seen, "errors")
    with psycopg.connect(postgres.url(victim)) as connection:
        assert connection.execute("SELECT to_regclass('x')").fetchone() == (None,)


async def test_leftovers_of_killed_drills(production: Production, given_server: Given, drill: Drill) -> None:
    def left(name: str, comment: str | None) -> str:
        given_server.ask(f"CREATE DATABASE {name} OWNER {given_server.role}")
        if comment is not None:
            given_server.ask(f"COMMENT ON DATABASE {name} IS '{comment}'")
        return name

    now = datetime.now(UTC)
    mark = "healthd restore drill, made {}, token " + "0" * 32
    old = left("healthd_restore_0123456789ab", mark.format((now - timedelta(hours=30)).isoformat()))
    recent = left("healthd_restore_0123456789ac", mark.format((now - timedelta(hours=2)).isoformat()))
    unmarked = left("healthd_restore_0123456789ad", None)
    claimed = left("healthd_restore_0123456789ae", "our own, keep")
    seen = await drill(file=str(production.plain()), server=given_server.url)
    assert (values(seen)["restored"], values(seen)["leftovers"]) == (1, 3)
    assert given_server.databases() & {old, recent, unmarked, claimed} == {recent, unmarked, claimed}


async def test_a_server_that_is_away(production: Production, drill: Drill) -> None:
    with pytest.raises(ProbeError, match="connection refused") as caught:
        await drill(file=str(production.plain()), server="postgresql://drill:hunter22@127.0.0.1:1/postgres")
    assert "hunter22" not in str(caught.value)
    assert caught.value.kind == "refused"
