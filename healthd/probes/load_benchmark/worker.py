"""The process that makes the requests: told what to do on standard input, it writes what it saw to standard output.

A process of its own, so that neither the benchmark slows down the daemon's checks nor these the benchmark.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from healthd.probes.base import Resources
from healthd.probes.http.failures import FAILURES, explain_client_error
from healthd.probes.network import FAMILIES
from healthd.probes.tls_options import TlsOptions, tls_context

_BODY_MAX = 10_000_000  # bytes of one answer; one that is longer is a failure


@dataclass(slots=True)
class Load:
    """A benchmark under way. `spec` is what the parent sent; times are in seconds."""

    spec: dict[str, Any]
    session: ClientSession
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    received: int = 0
    started: int = 0

    async def run(self) -> dict[str, Any]:
        """Make the requests, or as many as the time allows."""
        began = perf_counter()
        ends = began + self.spec["seconds"]
        try:
            async with asyncio.timeout(self.spec["seconds"]):
                await asyncio.gather(*(self._work(began, ends) for _ in range(self.spec["concurrency"])))
        except TimeoutError:
            pass  # what is under way does not count
        return {
            "duration": perf_counter() - began,
            "latencies": self.latencies,
            "failures": dict(self.failures),
            "received": self.received,
        }

    async def _work(self, began: float, ends: float) -> None:
        while self.started < self.spec["requests"]:
            due = began + self.started / self.spec["rate"]
            self.started += 1
            if (wait := due - perf_counter()) > 0:
                if due > ends:
                    return
                await asyncio.sleep(wait)
            await self._ask()

    async def _ask(self) -> None:
        spec, options = self.spec, dict[str, Any]()
        if spec["server_name"]:
            options["server_hostname"] = spec["server_name"]
        began = perf_counter()
        try:
            async with self.session.request(
                spec["method"],
                spec["url"],
                headers=spec["headers"],
                proxy=spec["proxy"],
                allow_redirects=False,
                **options,
            ) as response:
                size = 0
                while chunk := await response.content.readany():
                    size += len(chunk)
                    if size > _BODY_MAX:
                        response.close()
                        self.failures[f"a body longer than {_BODY_MAX} bytes"] += 1
                        return
        except FAILURES as error:
            self.failures[explain_client_error(error, spec["host"])[0][:200]] += 1
            return
        self.received += size
        if any(low <= response.status <= high for low, high in spec["status"]):
            self.latencies.append(perf_counter() - began)
        else:
            self.failures[f"status {response.status}"] += 1


async def work(spec: dict[str, Any]) -> dict[str, Any]:
    """The benchmark's results."""
    resources = Resources()
    connector = TCPConnector(
        limit=0,
        force_close=not spec["keepalive"],
        family=FAMILIES[spec["ip"]],
        ssl=await tls_context(TlsOptions(**spec["tls"]), resources),
    )
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
    ) as session:
        return await Load(spec, session).run()


if __name__ == "__main__":
    json.dump(asyncio.run(work(json.load(sys.stdin))), sys.stdout)
