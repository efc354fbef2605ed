"""s3_backup against moto: what it counts, dates in the system's zone, sizes against the usual, many pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from moto.s3.models import s3_backends
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import REGION, MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
Objects = list[dict[str, Any]]


@pytest.fixture
def bucket(moto: MotoServer) -> str:
    moto.client("s3").create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "backups"


def put(moto: MotoServer, key: str, size: int = 10) -> None:
    moto.client("s3").put_object(Bucket="backups", Key=key, Body=b"x" * size)


def written(key: str, size: int, ago: timedelta) -> dict[str, Any]:
    return {"Key": key, "Size": size, "LastModified": NOW - ago, "ETag": '"0"', "StorageClass": "STANDARD"}


def list_as(moto: MotoServer, *objects: dict[str, Any]) -> None:
    """S3 stamps objects itself: to have old ones, answer in its place."""
    moto.answers["s3", "ListObjectsV2"] = lambda _: {
        "Name": "backups", "KeyCount": len(objects), "IsTruncated": False, "Contents": list(objects)
    }  # fmt: skip


async def test_what_is_there_now(moto: MotoServer, bucket: str, through: Through) -> None:
    look = await through("s3_backup")
    put(moto, "daily/", 0)
    put(moto, "daily/a.dump", 100)
    put(moto, "daily/b.dump", 300)
    put(moto, "daily/b.sha256", 3)
    put(moto, "other/c.dump", 999)
    observation = await look(bucket=bucket, prefix="daily/", suffix=".dump")
    found = values(observation)
    assert (found["count"], found["count_today"], found["total_size"]) == (2, 2, 400)
    assert found["newest_age"] < 60
    assert "daily/b.dump: 300B" in evidence(observation, "Newest objects")


async def test_more_objects_than_one_page_holds(moto: MotoServer, bucket: str, through: Through) -> None:
    look = await through("s3_backup")
    stored = s3_backends["123456789012"]["aws"]  # the server's own memory: quicker than 1205 requests
    for i in range(1205):
        stored.put_object(bucket, f"many/{i:04}", b"x")
    moto.asked.clear()
    assert values(await look(bucket=bucket, prefix="many/"))["count"] == 1205
    assert moto.count("s3") == 2
    with pytest.raises(ProbeError, match="more than 1204 objects under many/: narrow the prefix or raise max_objects"):
        await look(bucket=bucket, prefix="many/", max_objects=1204)


async def test_ages_sizes_and_days(moto: MotoServer, through: Through) -> None:
    look = await through("s3_backup")
    look.looker.now = NOW
    hours = [2, 26, 50, 98, 122]  # the 7th has none
    list_as(moto, *(written(f"d{h}.gz", 50 if h == 2 else 100, timedelta(hours=h)) for h in hours))
    observation = await look(bucket="backups", days=5)
    assert values(observation) == {
        "count": 5, "count_today": 1, "newest_age": 7200, "oldest_age": 122 * 3600, "newest_size": 50,
        "smallest_size": 50, "total_size": 450, "usual_size": 100, "size_change": -0.5,
        "days_without": 1, "least_per_day": 0,
    }  # fmt: skip
    assert evidence(observation, "Days without") == "2026-03-07"


async def test_usual_is_the_median_of_those_before_the_newest(moto: MotoServer, through: Through) -> None:
    look = await through("s3_backup")
    look.looker.now = NOW
    sizes = [300, 100, 120, 5, 5, 5]  # the newest first
    list_as(moto, *(written(f"{i}", size, timedelta(days=i)) for i, size in enumerate(sizes)))
    found = values(await look(bucket="backups", usual=2))
    assert found["usual_size"] == 110
    assert found["size_change"] == pytest.approx(190 / 110)
    list_as(moto, written("only", 10, timedelta(0)))
    assert "size_change" not in values(await look(bucket="backups"))


@pytest.mark.parametrize(("zone", "least"), [(None, 23), ("UTC", 24)])
async def test_days_of_another_zone(
    moto: MotoServer, bucket: str, through: Through, zone: str | None, least: int
) -> None:
    """A day on which the clocks go forward has 23 hours, but not in UTC."""
    look = await through("s3_backup")
    look.looker.now, look.looker.zone = datetime(2026, 3, 30, 12, 0, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    hours = [look.looker.now - timedelta(hours=hour) for hour in range(72)]
    list_as(moto, *({**written(f"{at:%j%H}", 1, timedelta(0)), "LastModified": at} for at in hours))
    found = values(await look(bucket=bucket, days=1, zone=zone))
    assert (found["least_per_day"], found["days_without"]) == (least, 0)


@pytest.mark.parametrize(("zone", "today"), [("UTC", "2026-03-10"), ("Asia/Tokyo", "2026-03-11")])
async def test_today_is_the_day_of_the_systems_zone(
    moto: MotoServer, bucket: str, through: Through, zone: str, today: str
) -> None:
    look = await through("s3_backup")
    look.looker.now, look.looker.zone = datetime(2026, 3, 10, 22, 0, tzinfo=UTC), ZoneInfo(zone)
    for day in ("2026-03-09", "2026-03-10", "2026-03-11"):
        put(moto, f"{day}/{day}.dump")
    observation = await look(bucket=bucket, prefix="{date:%Y-%m-%d}/", expected=["{date:%Y-%m-%d}.dump", "redis.rdb"])
    assert f"{today}/{today}.dump" in evidence(observation, "Newest objects")
    assert values(observation)["missing_count"] == 1
    assert observation.note == "missing: redis.rdb"
    both = await look(bucket=bucket, prefix=["{date-1d:%Y-%m-%d}/", "{date:%Y-%m-%d}/"])
    assert values(both)["count"] == 2


async def test_expected_names_may_be_globs(moto: MotoServer, bucket: str, through: Through) -> None:
    look = await through("s3_backup")
    put(moto, "x/db-0413.dump")
    assert values(await look(bucket=bucket, prefix="x/", expected=["db-*.dump", "files-*.tar"]))["missing_count"] == 1


async def test_nothing_there_is_an_answer(moto: MotoServer, bucket: str, through: Through) -> None:
    look = await through("s3_backup")
    observation = await look(bucket=bucket, prefix="none/")
    assert values(observation) == {"count": 0, "count_today": 0, "total_size": 0}
    assert observation.note == "no object is there that fits, under s3://backups/none/"


async def test_no_such_bucket(moto: MotoServer, through: Through) -> None:
    look = await through("s3_backup")
    with pytest.raises(ProbeError, match="bucket does not exist: nowhere") as caught:
        await look(bucket="nowhere")
    assert caught.value.kind == "missing"


async def test_what_is_not_allowed_is_named(moto: MotoServer, through: Through) -> None:
    look = await through("s3_backup")

    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", "Access Denied", 403)

    moto.answers["s3", "*"] = deny
    with pytest.raises(ProbeError) as caught:
        await look(bucket="backups")
    assert caught.value.reason == "forbidden: needs s3:ListBucket on arn:aws:s3:::backups"
    assert caught.value.kind == "forbidden"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prefix": "{today}/"}, "braces hold a date"),
        ({"prefix": "/daily/"}, "write 'daily/'"),
        ({"match": "("}, "not a regular expression"),
        ({"external_id": "x"}, "external_id goes with role_arn"),
        ({"role_arn": "healthd"}, "expected something like arn:aws:iam"),
        ({"region": "Frankfurt"}, "expected something like eu-central-1"),
        ({"endpoint_url": "https://user:secret@s3.example.com"}, "expected an endpoint"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["s3_backup"].Params(bucket="backups", **params)
    assert message in str(caught.value)
