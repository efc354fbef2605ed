"""The probe http: secrets are shown nowhere, mistakes found at loading."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from healthd.probes.http import HttpProbe
from tests.component.looking import Looker, values
from tests.servers import odd


async def test_secrets_are_shown_nowhere(look: Looker) -> None:
    secrets = ["s3cret-password", "s3cret-header", "s3cret-query", "s3cret-body"]
    echo = " ".join(secrets).encode()
    async with odd.serving(odd.answers(echo, status="500 Oops")) as server:
        ask = {
            "url": f"http://user:s3cret-password@127.0.0.1:{server.port}/?q=s3cret-query",
            "headers": {"X-Key": "s3cret-header"},
            "method": "POST",
            "body": "s3cret-body",
            "expect_headers": {"X": "y"},
        }
        seen = await look(**ask)
    shown = repr(seen) + repr(HttpProbe.Params(**ask)) + str(HttpProbe.Params(**ask))
    assert values(seen)["up"] == 0
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": "ftp://x/"}, "expected http://host/path"),
        ({"url": "http://"}, "expected http://host/path"),
        ({"url": "http://x:99999/"}, "Port out of range"),
        ({"url": "http://x/a b"}, "no spaces"),
        ({"status": "2x"}, "is not a status: expected 200, 2xx"),
        ({"status": []}, "no status is expected"),
        ({"status": "399-200"}, "is not a status"),
        ({"body_pattern": "("}, "is not a regular expression"),
        ({"extract": {"status": "$.status"}}, "choose another name, such as app_status"),
        ({"extract": {"a": "$.a["}}, r"cannot read '\['"),
        ({"extract": {"a": {"path": "$.a", "unit": "parsec"}}}, "unknown unit 'parsec'"),
        ({"expect_json": {"$.a": "< many"}}, "not a quantity"),
        ({"headers": {"X-Key": "a\r\nEvil: 1"}}, "line break"),
        ({"headers": {"X Key": "a"}}, "is not a header name"),
        ({"body": "a", "body_json": {}}, "one of body and body_json"),
        ({"auth": {}}, "give one of basic"),
        ({"methud": "GET"}, "Extra inputs are not permitted"),
        ({"tls": {"key_file": "k"}}, "key_file needs cert_file"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HttpProbe.Params(**{"url": "http://127.0.0.1/", **params})


def test_editors_get_a_schema() -> None:
    schema = HttpProbe.Params.model_json_schema()
    assert schema["properties"]["status"]["type"] == ["integer", "string", "array"]
    assert schema["required"] == ["url"]


def test_measures_are_known_before_the_run() -> None:
    params = HttpProbe.Params(url="http://x/", extract={"lag": {"path": "$.lag", "unit": "ms"}})
    measures = HttpProbe().measures_for(params)  # type: ignore[arg-type]
    assert measures["lag"].unit == "seconds"
    assert "latency" in measures
