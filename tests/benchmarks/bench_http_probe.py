"""CPU of one http probe over a new connection, against prometheus-blackbox-exporter asking the same URL.

    python -m tests.benchmarks.bench_http_probe

Both ask the same nginx, in turns, in one run of about 20 seconds. The exporter's share of CPU is read from
/proc/<pid>/stat and covers its own HTTP server answering `/probe`, which is how Prometheus runs it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from healthd.probes.base import ProbeContext, Resources
from healthd.probes.http import HttpProbe
from tests.servers.nginx import NginxServer
from tests.servers.process import Process, free_port

ROUNDS, PROBES, CONCURRENCY = 5, 2000, 20
TICK = os.sysconf("SC_CLK_TCK")
MODULES = "modules: {http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}}\n"


def cpu_of(pid: int) -> float:
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def repeat(look: Callable[[], Awaitable[None]], times: int) -> None:
    async def worker() -> None:
        for _ in range(times // CONCURRENCY):
            await look()

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


async def measure(nginx: NginxServer, exporter: Process, port: int) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU per probe: ours and the exporter's, one figure per round."""
    probe, resources = HttpProbe(), Resources()
    params = HttpProbe.Params(url=f"{nginx.url}/health")
    target = f"http://127.0.0.1:{port}/probe?module=http_2xx&target={nginx.url}/health"

    async def ours() -> None:
        context = ProbeContext(datetime.now(UTC), timedelta(seconds=5), ZoneInfo("UTC"), resources)
        seen = await probe.run(params, context)  # type: ignore[arg-type]
        assert seen.measurements[0].value == 1, seen.note

    own, theirs = [], []
    async with aiohttp.ClientSession() as session:

        async def asked() -> None:
            async with session.get(target) as response:
                assert "probe_success 1" in await response.text()

        await repeat(ours, 200)
        await repeat(asked, 200)
        for _ in range(ROUNDS):
            began = time.process_time()
            await repeat(ours, PROBES)
            own.append((time.process_time() - began) / PROBES * 1000)
            before = cpu_of(exporter.pid)
            await repeat(asked, PROBES)
            theirs.append((cpu_of(exporter.pid) - before) / PROBES * 1000)
    await resources.close()
    return own, theirs


def main() -> int:
    program = shutil.which("prometheus-blackbox-exporter")
    if program is None:
        print("prometheus-blackbox-exporter is missing: apt-get install prometheus-blackbox-exporter")
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "blackbox.yml").write_text(MODULES)
        nginx = NginxServer(folder).start()
        argv = [program, f"--config.file={folder}/blackbox.yml", f"--web.listen-address=127.0.0.1:{port}"]
        exporter = Process(argv, folder / "exporter.log").start().wait_for_port(port)
        try:
            own, theirs = asyncio.run(measure(nginx, exporter, port))
        finally:
            exporter.stop()
            nginx.stop()
    print(f"{'':26}median   per round (ms of CPU per probe over a new connection)")
    for label, figures in (("healthd http probe", own), ("blackbox_exporter /probe", theirs)):
        print(f"{label:24}  {statistics.median(figures):.3f}   {' '.join(f'{f:.3f}' for f in figures)}")
    print(f"{'ratio':24}  {statistics.median(own) / statistics.median(theirs):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
