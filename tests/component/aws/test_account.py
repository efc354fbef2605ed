"""Who asks, where, and what can go wrong on the way: the same for every AWS probe."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import trustme

from healthd.probes import PROBES
from healthd.probes.aws.account import Account, Models
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.policy import policy
from healthd.probes.aws.probe import AwsProbe
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import values
from tests.servers.aws import REGION, MotoServer, Refusal

METRIC = {"namespace": "App", "metric": "Errors"}
ROLE = "arn:aws:iam::123456789012:role/healthd"
AWS_PROBES = {kind: probe for kind, probe in PROBES.items() if isinstance(probe, AwsProbe)}
OPERATIONS = sorted({(kind, op) for kind, probe in AWS_PROBES.items() for op in probe.operations}, key=str)


async def refusal(look: Any, **params: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await look(**params)
    return caught.value


# -- only reading --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reading() -> Callable[[str], bool]:
    """Whether one of AWS' own policies for people who may only look allows an action."""
    from fnmatch import fnmatchcase

    from moto.iam.aws_managed_policies import aws_managed_policies_data

    known = json.loads(aws_managed_policies_data)
    patterns: list[str] = []
    for name in ("ReadOnlyAccess", "SecurityAudit", "AWSBillingReadOnlyAccess"):
        for statement in known[name]["Document"]["Statement"]:
            actions = statement["Action"]
            patterns += [actions] if isinstance(actions, str) else actions
    return lambda action: any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


@pytest.mark.parametrize(("kind", "operation"), OPERATIONS, ids=lambda value: getattr(value, "action", value))
def test_every_declared_action_reads(kind: str, operation: Operation, reading: Callable[[str], bool]) -> None:
    assert reading(operation.action)


@pytest.mark.parametrize(("kind", "operation"), OPERATIONS, ids=lambda value: getattr(value, "action", value))
def test_every_answer_is_read_to_its_last_page(kind: str, operation: Operation, models: Models) -> None:
    client = models.session(None).create_client(operation.service, region_name=REGION)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation.method])
    places = {"NextToken", "nextToken", "NextMarker", "Marker", "NextPageToken", "NextContinuationToken"}
    holds_place = places & set(model.output_shape.members)
    if client.can_paginate(operation.method) or not holds_place:
        assert operation.token is None
    else:
        assert operation.token is not None
        assert operation.token[0] in holds_place
        assert operation.token[1] in model.input_shape.members


@pytest.mark.parametrize(
    "method",
    ["put_object", "delete_bucket", "create_bucket", "reboot_db_instance", "get_secret_value", "run_instances"],
)
def test_what_changes_something_cannot_be_declared(method: str) -> None:
    with pytest.raises(ValueError, match="not among the operations a probe may ask"):
        Operation("s3", method, "s3:Whatever")


async def test_what_was_not_announced_does_not_leave(moto: MotoServer, models: Models) -> None:
    account = Account(AwsParams(endpoint_url=moto.url, region=REGION), models)
    with pytest.raises(PermissionError, match="DeleteBucket is not among the operations"):
        await account.run(lambda: account.client("s3").delete_bucket(Bucket="videos"), 5)
    assert moto.asked == []


def test_a_policy_names_what_the_code_asks() -> None:
    assert policy("s3_backup", "cloudwatch_metric") == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["cloudwatch:GetMetricData"], "Resource": "*"},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::*"},
        ],
    }


def test_importing_the_probes_is_cheap() -> None:
    code = (
        "import sys; from healthd.probes import PROBES; list(PROBES.values());"
        "print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# -- who asks ------------------------------------------------------------------------------------------------------


async def test_without_credentials(moto: MotoServer, through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = await refusal(await through("s3_backup"), bucket="backups")
    assert error.kind == "auth"
    assert "no AWS credentials: looked for AWS_ACCESS_KEY_ID, the profile in ~/.aws" in error.reason


@pytest.mark.probe_failure("s3_backup")
async def test_a_profile_that_is_not_there(moto: MotoServer, through: Through) -> None:
    error = await refusal(await through("s3_backup"), bucket="backups", profile="prod")
    assert (error.kind, error.reason) == ("config", "there is no AWS profile 'prod'")


async def test_no_region(moto: MotoServer, through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    look = await through("cloudwatch_metric")
    error = await refusal(look, endpoint_url=None, region=None, **METRIC)
    assert (error.kind, error.reason) == ("config", "no region: write `region`, or set AWS_REGION (AWS_DEFAULT_REGION)")
    monkeypatch.setenv("AWS_REGION", REGION)
    assert values(await look(endpoint_url=None, region=None, **METRIC))["points"] == 0


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ExpiredToken", "auth", "the AWS credentials have expired"),
        ("InvalidClientTokenId", "auth", "AWS does not know these credentials"),
        ("SignatureDoesNotMatch", "auth", "the secret access key is wrong"),
        ("OptInRequired", "config", "not available to this account"),
        ("ServiceUnavailable", "unavailable", "AWS cannot answer now"),
        ("SomethingNew", "protocol", "cloudwatch:GetMetricData failed: SomethingNew"),
    ],
)
async def test_an_error_of_aws(moto: MotoServer, through: Through, code: str, kind: str, words: str) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal(code, "The canonical string was secret=hunter2hunter2")

    moto.answers["cloudwatch", "GetMetricData"] = refuse
    error = await refusal(await through("cloudwatch_metric"), **METRIC)
    assert error.kind == kind
    assert words in error.reason
    assert "hunter2" not in error.reason


async def test_a_denial_names_who_lacks_what(moto: MotoServer, through: Through) -> None:
    said = (
        f"User: {ROLE}/healthd is not authorized to perform: cloudwatch:GetMetricData on resource: * "
        "with an explicit deny in a service control policy"
    )

    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", said, 403)

    moto.answers["cloudwatch", "GetMetricData"] = deny
    error = await refusal(await through("cloudwatch_metric"), **METRIC)
    assert error.kind == "forbidden"
    why = "with an explicit deny in a service control policy"
    assert error.reason == f"forbidden: needs cloudwatch:GetMetricData (as {ROLE}/healthd {why})"


@pytest.mark.probe("cloudwatch_metric")
async def test_a_role_is_assumed_with_its_external_id_and_again_before_it_expires(
    moto: MotoServer, through: Through
) -> None:
    asked: list[dict[str, Any]] = []

    def assume(parameters: dict[str, Any]) -> dict[str, Any]:
        asked.append(parameters)
        # good for less than the time in which credentials have to be renewed: the first ones are used up at once
        lasts = timedelta(seconds=30) if len(asked) == 1 else timedelta(hours=1)
        keys = {"AccessKeyId": f"ASIA{len(asked)}", "SecretAccessKey": "s", "SessionToken": "t"}
        return {"Credentials": {**keys, "Expiration": datetime.now(UTC) + lasts}}

    moto.answers["sts", "AssumeRole"] = assume
    look = await through("cloudwatch_metric")
    for run in range(3):
        look.looker.now = datetime.now(UTC) + timedelta(minutes=run)
        assert "points" in values(await look(role_arn=ROLE, external_id="from-us", **METRIC))
    assert [(a["RoleArn"], a["ExternalId"], a["RoleSessionName"]) for a in asked] == [(ROLE, "from-us", "healthd")] * 2


async def test_credentials_that_were_replaced_are_found(
    moto: MotoServer, through: Through, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def check(_: dict[str, Any]) -> dict[str, Any]:
        if not allowed.is_set():
            raise Refusal("ExpiredToken", "The security token included in the request is expired")
        return {"MetricDataResults": []}

    allowed = threading.Event()
    moto.answers["cloudwatch", "GetMetricData"] = check
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    look, now = await through("cloudwatch_metric"), datetime.now(UTC)
    look.looker.now = now
    assert (await refusal(look, **METRIC)).reason.startswith("no AWS credentials")
    file.write_text("[default]\naws_access_key_id = AKIAEXPIRED\naws_secret_access_key = s\n")
    look.looker.now = now + timedelta(seconds=20)
    assert (await refusal(look, **METRIC)).reason.startswith("no AWS credentials"), "not more often than every 30 s"
    look.looker.now = now + timedelta(seconds=40)
    await refusal(look, **METRIC)
    look.looker.now = now + timedelta(seconds=60)
    assert "have expired" in (await refusal(look, **METRIC)).reason
    allowed.set()
    look.looker.now = now + timedelta(seconds=120)
    assert values(await look(**METRIC))["points"] == 0


async def test_a_role_that_may_not_be_assumed(moto: MotoServer, through: Through) -> None:
    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole", 403)

    moto.answers["sts", "AssumeRole"] = deny
    error = await refusal(await through("cloudwatch_metric"), role_arn=ROLE, **METRIC)
    assert error.kind == "forbidden"
    assert "needs sts:AssumeRole, and the role's trust policy must allow it" in error.reason


# -- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.probe("s3_backup")
async def test_the_endpoint_of_the_environment(
    moto: MotoServer, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url.replace("127.0.0.1", "localhost"))
    moto.client("s3").create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": REGION})
    # with a name for a host the bucket has to be in the path: backups.localhost is nowhere
    assert values(await (await through("s3_backup"))(bucket="backups", endpoint_url=None))["count"] == 0


async def test_nothing_listens(through: Through) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await refusal(await through("cloudwatch_metric"), endpoint_url=f"http://127.0.0.1:{port}", **METRIC)
    assert (error.kind, error.reason) == ("refused", f"connection refused (127.0.0.1:{port})")


async def test_no_such_host(through: Through) -> None:
    error = await refusal(await through("cloudwatch_metric"), endpoint_url="http://nowhere.invalid", **METRIC)
    assert error.kind == "dns"
    assert "nowhere.invalid" in error.reason


@pytest.mark.probe_failure("cloudwatch_metric")
async def test_a_certificate_nobody_knows(through: Through) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        error = await refusal(await through("cloudwatch_metric"), endpoint_url=url, **METRIC)
    assert error.kind == "tls"


@pytest.mark.parametrize(
    ("kind", "params"), [("cloudwatch_metric", METRIC), ("rds_instance", {"instance": "db"})], ids=["json", "xml"]
)
async def test_something_that_is_not_aws(through: Through, kind: str, params: dict[str, Any]) -> None:
    server = await asyncio.start_server(_html, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        error = await refusal(await through(kind), endpoint_url=url, **params)
    assert (error.kind, error.reason) == ("protocol", f"what answers at {url[7:]} is not AWS")


async def serve(head: bytes, chunks: Callable[[], Iterator[bytes]], look: Any, **params: Any) -> ProbeError:
    """What a look says of a server that answers each request like that and closes the connection."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + b"\r\n\r\n")
        with suppress(ConnectionError):
            for chunk in chunks():
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        return await refusal(look, endpoint_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", **params)


@pytest.mark.parametrize(("kind", "params"), [("cloudwatch_metric", METRIC), ("rds_instance", {"instance": "db"})])
async def test_half_an_answer_is_no_empty_answer(through: Through, kind: str, params: dict[str, Any]) -> None:
    head = b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: 500"
    error = await serve(head, lambda: iter([b'{"MetricDataResults": [']), await through(kind), **params)
    assert error.kind == "closed"
    assert error.reason.endswith("closed the connection before the end of its answer")


async def test_an_answer_without_end_is_not_read(through: Through) -> None:
    look = await through("cloudwatch_metric")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = await serve(b"Content-Type: application/json", lambda: repeat(b" " * 65_536), look, **METRIC)
    assert (error.kind, error.reason) == ("limit", "an answer is longer than 16 MB (cloudwatch:GetMetricData)")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.probe_failure("secrets_manager")
async def test_a_list_without_end_is_not_read(moto: MotoServer, through: Through) -> None:
    moto.answers["secretsmanager", "ListSecrets"] = lambda asked: {
        "SecretList": [{"Name": "x", "Description": "d" * 2000}] * 500,
        "NextToken": str(int(asked.get("NextToken", 0)) + 1),
    }
    look = await through("secrets_manager")
    look.looker.timeout = timedelta(seconds=30)
    error = await refusal(look)
    assert error.kind == "limit"
    assert "there is too much to list (secretsmanager:ListSecrets)" in error.reason


async def _html(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    page = b"<!doctype html><html><title>hello</title>"
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
    await writer.drain()
    writer.close()


# -- how long ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def silent() -> Any:
    """A server that takes every connection and never answers; `.waiting` is set when it has been asked."""
    asked = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def test_the_time_of_the_check_holds(silent: Any, through: Through) -> None:
    look = await through("s3_bucket")
    look.looker.timeout = timedelta(seconds=1)
    began = asyncio.get_running_loop().time()
    error = await refusal(look, endpoint_url=silent[0], bucket="videos", aspects=["versioning"])
    assert asyncio.get_running_loop().time() - began < 10
    assert (error.kind, error.reason) == ("timeout", "no answer within 1s (s3:GetBucketVersioning)")


async def test_a_cancelled_look_stops_asking(silent: Any, through: Through) -> None:
    look = await through("s3_bucket")
    url, asked = silent
    task = asyncio.create_task(look(endpoint_url=url, bucket="videos", aspects=["versioning"]))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.probe_failure("s3_bucket")
async def test_an_endpoint_that_hangs_takes_eight_threads_at_most(silent: Any, through: Through) -> None:
    look = await through("s3_bucket")
    look.looker.timeout = timedelta(seconds=3)
    before = threading.active_count()
    url = silent[0]
    tasks = [
        asyncio.create_task(refusal(look, endpoint_url=url, bucket=f"bucket{i}", aspects=["logging"]))
        for i in range(30)
    ]
    await silent[1].wait()
    assert threading.active_count() - before <= 8
    kinds = Counter(error.kind for error in await asyncio.gather(*tasks))
    assert kinds == {"timeout": 8, "busy": 22}
