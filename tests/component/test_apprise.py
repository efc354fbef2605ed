"""Apprise, with the real library and a real receiver behind it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError
from healthd.notify import CHANNELS, build_channel, compose_test
from healthd.notify.dressing import Dressed
from tests.servers.process import free_port
from tests.servers.receiver import Receiver
from tests.telling import AT, make_incident, make_message


def apprise(*urls: str, **options: Any) -> Dressed:
    return build_channel(ChannelSpec("a", "apprise", {"urls": list(urls), "timeout": "10s", **options}))


async def test_every_service_is_told(receiver: Receiver) -> None:
    address = receiver.url.removeprefix("http://")
    channel = apprise(f"json://{address}/one", f"json://{address}/two")
    await channel.send(make_message())
    await channel.send(make_message(event="resolved", incident=make_incident(resolved_at=AT)))
    await channel.send(compose_test("a", AT))
    await channel.close()
    assert [r.path.rstrip("/") for r in receiver.requests] == ["/one", "/two"] * 3
    assert [r.json["type"] for r in receiver.to("/one") or receiver.to("/one/")] == ["failure", "success", "info"]
    first = receiver.requests[0].json
    assert first["title"] == "Firing (CRITICAL): The Shop: Shop front is slow"
    assert "Try first: redis-cli info memory" in first["message"]


async def test_a_refusal_is_tried_again_and_shows_no_key(receiver: Receiver) -> None:
    receiver.default = 500
    channel = apprise(f"json://user:verysecretkey@{receiver.url.removeprefix('http://')}/verysecretpath")
    with pytest.raises(ChannelError, match="not taken: ") as error:
        await channel.send(make_message())
    assert "verysecret" not in error.value.reason
    assert not error.value.permanent
    await channel.close()


async def test_nobody_listens() -> None:
    channel = apprise(f"json://127.0.0.1:{free_port()}")
    with pytest.raises(ChannelError, match="not taken"):
        await channel.send(make_message())
    await channel.close()


async def test_a_service_that_hangs_costs_the_timeout(receiver: Receiver) -> None:
    receiver.script(["hang"])
    channel = apprise(f"json://{receiver.url.removeprefix('http://')}", timeout="1s")
    with pytest.raises(ChannelError, match="did not answer within 1 s"):
        await channel.send(make_message())
    await channel.close()


async def test_an_address_that_apprise_does_not_know() -> None:
    channel = apprise("nosuchservice://verysecret")
    with pytest.raises(ChannelError, match="does not understand address 1") as error:
        await channel.send(make_message())
    assert "verysecret" not in error.value.reason


@pytest.mark.parametrize("urls", [[], ["verysecret"], ["json:// x"]])
def test_wrong_options(urls: list[str]) -> None:
    with pytest.raises(ValidationError) as error:
        CHANNELS["apprise"].Options.model_validate({"urls": urls})
    assert "verysecret" not in str(error.value)


def test_the_library_is_loaded_when_it_is_used() -> None:
    import subprocess

    code = "import sys, healthd.notify; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
