"""The probe http: redirects."""

from __future__ import annotations

import pytest

from tests.component.looking import Looker, evidence, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port


async def test_redirects_are_followed_and_counted(nginx: NginxServer, look: Looker) -> None:
    measured = values(await look(url=f"{nginx.url}/moved-twice", expect_json={"$.status": "= ok"}))
    assert (measured["up"], measured["redirects"], measured["status"]) == (1, 2, 200)


async def test_redirects_can_be_looked_at_themselves(nginx: NginxServer, look: Looker) -> None:
    seen = await look(
        url=f"{nginx.url}/moved", follow_redirects=False, status=301, expect_headers={"Location": "/health$"}
    )
    assert (values(seen)["up"], values(seen)["status"]) == (1, 301)


async def test_redirect_loop(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/loop", max_redirects=3)
    assert (values(seen), seen.note) == ({"up": 0}, "more than 3 redirects")
    assert evidence(seen, "redirects").count("302 from") == 4


async def test_see_other_becomes_get(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/see-other", method="POST", body="x", body_pattern="method=GET")
    assert values(seen)["up"] == 1


async def test_another_origin_is_not_given_credentials(nginx: NginxServer, look: Looker) -> None:
    ask = {"headers": {"X-Key": "k-1234"}, "auth": {"bearer": "bearer-secret"}}
    same = await look(url=f"{nginx.url}/see-other", body_pattern="key=k-1234 auth=Bearer bearer-secret", **ask)
    other = await look(url=f"{nginx.url}/see-other-port", body_pattern="key= auth=$", **ask)
    assert (values(same)["up"], values(other)["up"]) == (1, 1)


async def test_failure_behind_a_redirect_names_it(look: Looker) -> None:
    port = free_port()
    head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/next?token=abcdefgh\r\n\r\n".encode()
    async with odd.serving(odd.says(head)) as server:
        seen = await look(url=server.url)
    assert seen.note == f"connection refused (after a redirect to http://127.0.0.1:{port}/next?...)"


@pytest.mark.parametrize(
    ("location", "note"),
    [("ftp://files.example/x", "which is not HTTP"), ("http://[bad", "not a URL")],
)
async def test_redirect_to_nowhere(look: Looker, location: str, note: str) -> None:
    async with odd.serving(odd.says(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert note in seen.note
