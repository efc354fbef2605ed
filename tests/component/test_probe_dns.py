"""The dns probe against a name server on UDP and TCP, and against answers that are broken."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.dns.message import MessageError, Reply, question, read_reply
from healthd.probes.dns.transport import system_servers
from tests.component.looking import Looker, evidence, looking, values
from tests.servers.dns import DnsServer, Records, dns_server
from tests.servers.process import free_port

WEB, MAIL = "www.example.com", "mail.example.com"


def records(owner: str, kind: str, *them: str, ttl: int = 300) -> Records:
    return [(owner, kind, ttl, value) for value in them]


ZONE: dict[tuple[str, str], Records] = {
    (WEB, "A"): [
        (WEB, "CNAME", 60, "lb.example.net"),
        *records("lb.example.net", "A", "192.0.2.2", "192.0.2.1", ttl=30),
    ],
    (WEB, "AAAA"): records(WEB, "AAAA", "2001:db8::1"),
    (WEB, "CNAME"): records(WEB, "CNAME", "LB.example.net"),
    ("example.com", "MX"): records("example.com", "MX", "10 Mail.example.com", "20 backup.example.com"),
    ("example.com", "NS"): records("example.com", "NS", "ns1.example.com", "ns2.example.com"),
    ("example.com", "TXT"): records("example.com", "TXT", "v=spf1 include:_spf.example.com -all", "token=Abc"),
    ("example.com", "CAA"): records("example.com", "CAA", '0 issue "letsencrypt.org"'),
    ("example.com", "SOA"): records(
        "example.com", "SOA", "ns1.example.com root.example.com 2026112101 7200 3600 1209600 300"
    ),
    ("_sip._tcp.example.com", "SRV"): records("_sip._tcp.example.com", "SRV", "10 5 5060 sip.example.com"),
    ("1.2.0.192.in-addr.arpa", "PTR"): records("1.2.0.192.in-addr.arpa", "PTR", WEB),
    ("long.example.com", "TXT"): records("long.example.com", "TXT", *(f"{n} " + "x" * 180 for n in range(5))),
    ("xn--mnchen-3ya.example", "A"): records("xn--mnchen-3ya.example", "A", "192.0.2.9"),
}


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["dns"]) as looker:
        yield looker


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server(zone=ZONE) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "record", "expect"),
    [
        (WEB, "A", ["192.0.2.1", "192.0.2.2"]),
        (f"{WEB}.", "A", ["192.0.2.2", "192.0.2.1"]),
        ("WWW.Example.COM", "AAAA", ["2001:0db8:0::1"]),
        (WEB, "CNAME", "lb.EXAMPLE.net."),
        ("example.com", "MX", ["10 mail.example.com", "20 backup.example.com."]),
        ("example.com", "NS", ["ns2.example.com", "ns1.example.com"]),
        ("example.com", "TXT", ['"token=Abc"', "v=spf1 include:_spf.example.com -all"]),
        ("example.com", "CAA", ["0 issue letsencrypt.org"]),
        ("example.com", "SOA", ["ns1.example.com. root.example.com. 2026112101 7200 3600 1209600 300"]),
        ("_sip._tcp.example.com", "SRV", ["10 5 5060 sip.example.com"]),
        ("192.0.2.1", "PTR", [WEB]),
        ("münchen.example", "A", ["192.0.2.9"]),
    ],
)
async def test_records_of_every_type(server: DnsServer, look: Looker, name: str, record: str, expect: Any) -> None:
    seen = await look(name=name, record=record, server=server.address, expect=expect)
    assert seen.note == ""
    assert (values(seen)["up"], values(seen)["rcode"]) == (1, "NOERROR")
    assert values(seen)["answers"] == (1 if isinstance(expect, str) else len(expect))


async def test_measures(server: DnsServer, look: Looker) -> None:
    measured = values(await look(name=WEB, server=server.address))
    assert (measured["answers"], measured["ttl"], measured["truncated"]) == (2, 30, 0)
    assert 0 < float(measured["latency"]) < 2


async def test_what_is_not_expected_is_named(server: DnsServer, look: Looker) -> None:
    ask = {"name": WEB, "server": server.address}
    seen = await look(**ask, expect=["192.0.2.1", "192.0.2.7"])
    assert (values(seen)["up"], seen.note) == (0, "no 192.0.2.7; 192.0.2.2 is not expected")
    assert "www.example.com 60 CNAME lb.example.net" in evidence(seen, "answer")
    assert values(await look(**ask, expect="192.0.2.1", match="all"))["up"] == 1
    assert values(await look(**ask, expect=["192.0.2.1", "192.0.2.7"], match="any"))["up"] == 1
    assert (await look(**ask, expect="192.0.2.7", match="any")).note == "none of 192.0.2.7, but 192.0.2.1, 192.0.2.2"
    text = {"name": "example.com", "record": "TXT", "server": server.address}
    assert values(await look(**text, expect_pattern="^v=spf1 .*-all$"))["up"] == 1
    assert (await look(**text, expect_pattern="^v=DMARC1")).note == "no TXT record matches '^v=DMARC1'"


async def test_names_that_do_not_exist(server: DnsServer, look: Looker) -> None:
    seen = await look(name="gone.example.com", server=server.address)
    assert (values(seen)["up"], values(seen)["rcode"], values(seen)["answers"]) == (0, "NXDOMAIN", 0)
    assert seen.note == "the name gone.example.com does not exist (NXDOMAIN)"
    assert values(await look(name="gone.example.com", server=server.address, rcode="NXDOMAIN"))["up"] == 1
    assert (await look(name=WEB, server=server.address, rcode="NXDOMAIN")).note == f"the name {WEB} exists"
    seen = await look(name=WEB, record="MX", server=server.address)
    assert (values(seen)["rcode"], seen.note) == ("NOERROR", f"{WEB} has no MX record")


@pytest.mark.probe("dns")
async def test_a_long_answer_comes_over_tcp(server: DnsServer, look: Looker) -> None:
    seen = await look(name="long.example.com", record="TXT", server=server.address)
    assert (values(seen)["answers"], values(seen)["truncated"]) == (5, 1)
    assert (server.udp_questions, server.tcp_questions) == (1, 1)
    seen = await look(name=WEB, server=server.address, tcp=True)
    assert (values(seen)["up"], values(seen)["truncated"]) == (1, 0)
    assert (server.udp_questions, server.tcp_questions) == (1, 2)


async def test_checks_of_one_batch_ask_once(server: DnsServer, look: Looker) -> None:
    await asyncio.gather(
        look(name=WEB, server=server.address, expect="192.0.2.1", match="any"), look(name=WEB, server=server.address)
    )
    assert server.udp_questions == 1


async def test_a_lost_question_is_sent_again(look: Looker) -> None:
    async with dns_server(zone=ZONE, drop=1) as server:
        seen = await look(name=WEB, server=server.address)
    assert values(seen)["up"] == 1
    assert float(values(seen)["latency"]) >= 1


async def test_a_silent_server(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    async with dns_server(drop=100) as server:
        seen = await look(name=WEB, server=server.address)
        assert seen.note == f"{server.address}: no answer within 1s (waiting for the answer)"
    assert values(seen) == {"up": 0}
    closed = f"127.0.0.1:{free_port()}"
    seen = await look(name=WEB, server=closed)
    assert (values(seen), seen.note) == ({"up": 0}, f"{closed}: connection refused")


@pytest.mark.parametrize(("rcode", "word"), [(2, "SERVFAIL"), (5, "REFUSED"), (11, "RCODE11")])
async def test_servers_that_refuse(look: Looker, rcode: int, word: str) -> None:
    async with dns_server(zone=ZONE, rcode=rcode) as server:
        seen = await look(name=WEB, server=server.address)
    assert (values(seen)["up"], values(seen)["rcode"]) == (0, word)
    assert seen.note == f"127.0.0.1 answered {word}"


async def test_foreign_packets_are_left_aside(look: Looker) -> None:
    async with dns_server(zone=ZONE, noise=b"\x00\x01" + b"\x85\x80" + b"\0" * 8) as server:
        assert values(await look(name=WEB, server=server.address))["up"] == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x85\x80\0\0\0\x01\0\0\0\0" + b"\xc0\x0c",  # a name that points at itself
        b"\x85\x80\0\0\0\x05\0\0\0\0",  # records that are not there
        b"\x85\x80\0\0\0\x01\0\0\0\0" + b"\0" + struct.pack("!HHIH", 1, 1, 60, 3) + b"abc",
        b"\x85\x80\0\0\0\x01\0\0\0\0" + b"\x80",
    ],
)
async def test_answers_that_cannot_be_read(look: Looker, raw: bytes) -> None:
    async with dns_server(raw=raw) as server:
        seen = await look(name=WEB, server=server.address)
    assert values(seen) == {"up": 0}
    assert "the answer cannot be read" in seen.note


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(tail: bytes) -> None:
    asked = question(WEB, 16, 7, recursive=True)
    for data in (tail, asked[:2] + b"\x85\x80" + tail, asked[:2] + b"\x85\x80\0\x01\0\x01\0\0\0\0" + asked[12:] + tail):
        try:
            assert isinstance(read_reply(data, asked), Reply | None)
        except MessageError:
            continue


def test_the_systems_servers(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert system_servers(file) == ["192.0.2.53", "2001:db8::53"]
    file.write_text("search example.com\n")
    with pytest.raises(ProbeError, match="names no name server"):
        system_servers(file)
    with pytest.raises(ProbeError, match="cannot read"):
        system_servers(tmp_path / "none")


@pytest.mark.probe_failure("dns")
async def test_a_server_whose_name_is_not_known(look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"server none\.invalid: ") as failure:
        await look(name=WEB, server="none.invalid")
    assert failure.value.kind == "dns"


@pytest.mark.parametrize(
    "params",
    [
        {"name": "a..b"},
        {"name": "x" * 64},
        {"name": ".".join(["x" * 60] * 5)},
        {"name": "a", "server": "http://x"},
        {"name": "a", "server": "h:0"},
        {"name": "a", "expect": "not an address"},
        {"name": "a", "record": "ANY"},
        {"name": "a", "rcode": "NXDOMAIN", "expect": "192.0.2.1"},
    ],
)
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["dns"].Params(**params)
