"""Requests and CPU of 50 CloudWatch metric checks in each of two regions, against asking for each metric by itself.

    python -m tests.benchmarks.bench_cloudwatch

moto's server, in a process of its own, counts what it is asked. Together: all checks start at once, as with
`healthd check`. Spread: they start 100 ms apart, as the scheduler starts the checks of one checklist.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any
from zoneinfo import ZoneInfo

from healthd.probes.aws.cloudwatch_metric import CloudWatchMetricProbe
from healthd.probes.base import ProbeContext, Resources
from tests.benchmarks.table import Row, print_rows
from tests.servers.aws import KEYS, MotoServer

CHECKS, RUNS, APART = 50, 5, 0.1
REGIONS = ("eu-central-1", "us-east-1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def serve(pipe: Connection) -> None:
    """In a child process: moto with some metrics; answers every message with the number of requests so far."""
    with MotoServer() as server:
        for region in REGIONS:
            data = [
                {"MetricName": f"m{i}", "Value": float(i), "Timestamp": START - timedelta(minutes=2)}
                for i in range(CHECKS)
            ]
            server.client("cloudwatch", region_name=region).put_metric_data(Namespace="App", MetricData=data)
        pipe.send(server.url)
        while pipe.recv():
            pipe.send(server.count("cloudwatch", "GetMetricData"))


class Checks:
    """The checks, as the daemon runs them."""

    def __init__(self, url: str) -> None:
        self.url, self.resources, self.probe = url, Resources(), CloudWatchMetricProbe()

    async def look(self, number: int, region: str, run: int) -> None:
        """One check of one run; runs are a minute apart."""
        params = self.probe.Params(
            endpoint_url=self.url, region=region, namespace="App", metric=f"m{number}", over="2h", period="1m"
        )
        now = START + timedelta(minutes=run)
        context = ProbeContext(now, timedelta(seconds=10), ZoneInfo("UTC"), self.resources)
        seen = await self.probe.run(params, context)
        assert seen.measurements[0].value == float(number), seen

    async def together(self, run: int) -> None:
        """All at once."""
        await asyncio.gather(*(self.look(i, region, run) for region in REGIONS for i in range(CHECKS)))

    async def spread(self, run: int) -> None:
        """One after the other, 100 ms apart."""

        async def later(number: int) -> None:
            await asyncio.sleep(number * APART)
            await asyncio.gather(*(self.look(number, region, run) for region in REGIONS))

        await asyncio.gather(*(later(i) for i in range(CHECKS)))


def one_by_one(url: str) -> None:
    """The reference: boto3 asks for each metric by itself."""
    import boto3

    for region in REGIONS:
        client = boto3.client("cloudwatch", region_name=region, endpoint_url=url, **KEYS)
        for number in range(CHECKS):
            metric = {"Namespace": "App", "MetricName": f"m{number}"}
            query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
            client.get_metric_data(MetricDataQueries=[query], StartTime=START - timedelta(hours=2), EndTime=START)


async def measure(pipe: Connection, work: Callable[[int], Awaitable[Any]], runs: int) -> tuple[list[int], list[float]]:
    """Requests and milliseconds of CPU of each run."""
    requests, cpu = [], []
    for run in range(runs):
        before, began = asked(pipe), time.process_time()
        await work(run)
        cpu.append((time.process_time() - began) * 1000)
        requests.append(asked(pipe) - before)
    return requests, cpu


def asked(pipe: Connection) -> int:
    pipe.send(True)
    return int(pipe.recv())


async def run(pipe: Connection, url: str) -> None:
    checks, others = Checks(url), Checks(url)
    requests, cpu = await measure(pipe, checks.together, RUNS)
    spread, spread_cpu = await measure(pipe, others.spread, 3)

    async def reference(_: int) -> None:
        await asyncio.to_thread(one_by_one, url)

    theirs, their_cpu = await measure(pipe, reference, RUNS)
    await checks.resources.close()
    await others.resources.close()
    what = f"{CHECKS} checks in each of {len(REGIONS)} regions"
    ours, single = statistics.median(cpu[1:]), statistics.median(their_cpu[1:])
    apart = statistics.median(spread_cpu[1:])
    print_rows(
        [
            Row(f"requests a run, {what}, together", f"{max(requests)}", f"{theirs[-1]}", wanted="2"),
            Row("  the same, spread over 5 s, first run", f"{spread[0]}", f"{theirs[-1]}"),
            Row("  the same, spread over 5 s, later runs", f"{max(spread[1:])}", f"{theirs[-1]}", wanted="2"),
            Row("CPU a run, together (ms)", f"{ours:.1f}", f"{single:.1f}", f"{ours / single:.2f}"),
            Row("CPU a run, spread, later runs (ms)", f"{apart:.1f}", f"{single:.1f}", f"{apart / single:.2f}"),
        ]
    )


def main() -> None:
    os.environ |= {name.upper(): value for name, value in KEYS.items()}
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        asyncio.run(run(ours, ours.recv()))
    finally:
        ours.send(False)
        server.join(10)


if __name__ == "__main__":
    main()
