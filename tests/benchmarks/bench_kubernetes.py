"""200 Kubernetes checks over 2,000 pods of one namespace: requests to the API server and CPU of one checklist run.

    python -m tests.benchmarks.bench_kubernetes

Against a real kube-apiserver. Requests are read from the server's own metrics. The reference is what a check costs
that lists for itself with the client library's typed objects, measured for a few and multiplied.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from healthd.probes.base import ProbeContext, Resources
from healthd.probes.kubernetes import KubernetesPodsProbe
from healthd.probes.kubernetes.cluster import ANSWER_KEPT
from tests.benchmarks.table import Row, print_rows
from tests.component.kubernetes.objects import ended, owned_by, pod, running
from tests.servers.kubernetes import KubeServer

PODS, CHECKS, APPS, ROUNDS, TYPED = 2000, 200, 100, 7, 3
NAMESPACE = "bench"
REQUESTS_WANTED, CPU_WANTED = 3, 300.0


def fill(kube: KubeServer) -> None:
    """2,000 pods of 100 Deployments, about as large as real ones."""
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    def make(number: int) -> None:
        app = f"app-{number % APPS}"
        labels = {"app": app, "pod-template-hash": "6f9c", "tier": "back", "team": "shop", "version": "1.4.2"}
        made = pod(f"{app}-6f9c-{number:05}", NAMESPACE, labels, owners=owned_by("ReplicaSet", f"{app}-6f9c"))
        container = made["spec"]["containers"][0]
        container["env"] = [{"name": f"SETTING_{n}", "value": f"value of the setting {n}"} for n in range(20)]
        container["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
        last = ended("OOMKilled", 137, timedelta(minutes=5)) if number % 50 == 0 else None
        kube.create(made, running(ready=number % 40 != 0, restarts=number % 3, last=last))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(PODS)))


def checks() -> list[Any]:
    """Parameters as a catalogue would have them: by selector, by owner, by name, and of everything."""
    shapes = (
        {"selector": "app={app}"},
        {"owner": "Deployment/{app}"},
        {"name": "{app}-*"},
        {"selector": "app in ({app}),tier=back", "since": "24h"},
        {},
    )
    found = []
    for number in range(CHECKS):
        shape = {k: v.format(app=f"app-{number % APPS}") for k, v in shapes[number % len(shapes)].items()}
        found.append({"namespace": NAMESPACE, **shape})
    return found


def lists_served(kube: KubeServer) -> float:
    """Lists of pods the API server has answered so far."""
    lines: Iterable[str] = kube.client.get("/metrics").text.splitlines()
    wanted = [
        line for line in lines
        if line.startswith("apiserver_request_total{") and 'resource="pods"' in line and 'verb="LIST"' in line
    ]  # fmt: skip
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


async def checklist(probe: KubernetesPodsProbe, every: list[Any], resources: Resources) -> float:
    """Milliseconds of CPU of one run of all checks."""
    shared: dict[Any, Any] = {}
    began = time.process_time()
    context = ProbeContext(datetime.now(UTC), timedelta(seconds=30), ZoneInfo("UTC"), resources, shared=shared)
    seen = await asyncio.gather(*(probe.run(params, context) for params in every))
    spent = (time.process_time() - began) * 1000
    assert all(s.measurements[0].value > 0 for s in seen)
    return spent


async def measure(kube: KubeServer) -> tuple[list[float], float]:
    """CPU of each round in ms; requests a round."""
    probe, kubeconfig = KubernetesPodsProbe(), kube.kubeconfig()
    every = [KubernetesPodsProbe.Params(kubeconfig=kubeconfig, **c) for c in checks()]
    resources = Resources()
    await checklist(probe, every, resources)
    before, figures = lists_served(kube), []
    for _ in range(ROUNDS):
        await asyncio.sleep(ANSWER_KEPT + 0.1)  # nothing is left of the round before
        figures.append(await checklist(probe, every, resources))
    await resources.close()
    return figures, (lists_served(kube) - before) / ROUNDS


async def measure_typed(kube: KubeServer) -> float:
    """Milliseconds of CPU of one list with the client library's own objects."""
    from kubernetes.aio import client, config

    settings = client.Configuration()
    await config.load_kube_config(config_file=kube.kubeconfig(), client_configuration=settings)
    async with client.ApiClient(settings) as api:
        began = time.process_time()
        for _ in range(TYPED):
            await client.CoreV1Api(api).list_namespaced_pod(NAMESPACE)
        return (time.process_time() - began) * 1000 / TYPED


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, KubeServer(Path(folder)) as kube:
        fill(kube)
        figures, requests = asyncio.run(measure(kube))
        typed = asyncio.run(measure_typed(kube))
    cpu, naive = statistics.median(figures), typed * CHECKS
    print_rows([
        Row(f"{CHECKS} checks over {PODS} pods: API requests", f"{requests:g}", "", "", f"<= {REQUESTS_WANTED}"),
        Row("CPU of a run", f"{cpu:.0f} ms", f"{naive:.0f} ms listing for each", f"{cpu / naive:.4f}",
            f"< {CPU_WANTED:g} ms"),
    ])  # fmt: skip
    return 0 if requests <= REQUESTS_WANTED and cpu < CPU_WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
