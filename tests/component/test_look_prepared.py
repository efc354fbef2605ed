"""What the first look through a probe imports is imported before its time runs."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, where nothing is imported yet. Nothing listens on port 1.
FIRST_LOOKS = """
import asyncio, sys
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from healthd.look import Looker, Shared
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits, Resources
from healthd.schedule import Due
from tests.factories import make_check

CLIENTS = ("aiohttp", "botocore", "cryptography", "kubernetes", "psutil", "psycopg", "redis", "healthd")
CASES = {
    "memory": {},
    "redis": {"url": "redis://127.0.0.1:1"},
    "postgres": {"url": "postgresql://u:p@127.0.0.1:1/d"},
    "tcp": {"host": "127.0.0.1", "port": 1},
    "http": {"url": "http://127.0.0.1:1/"},
    "http_journey": {"url": "http://127.0.0.1:1", "steps": [{"name": "a", "url": "/"}]},
    "http_headers": {"url": "http://127.0.0.1:1/"},
    "websocket": {"url": "ws://127.0.0.1:1/"},
    "prometheus": {"url": "http://127.0.0.1:1", "query": "up"},
    "docker_containers": {"url": "tcp://127.0.0.1:1"},
    "kubernetes_pods": {"kubeconfig": "/nothing/here", "namespace": "shop"},
    "s3_backup": {"bucket": "backups", "endpoint_url": "http://127.0.0.1:1", "region": "eu-central-1"},
}

class Watched:
    "The probe, noting what is imported from the beginning of its run to the end."

    def __init__(self, probe):
        self.probe = probe

    async def run(self, params, context):
        before = set(sys.modules)
        try:
            return await self.probe.run(params, context)
        finally:
            late = sorted(name for name in set(sys.modules) - before if name.split(".")[0] in CLIENTS)
            if late:
                print(type(self.probe).__name__, *late)

async def main():
    resources = Resources()
    looker = Looker({kind: Watched(PROBES[kind]) for kind in CASES}, resources, ProbeLimits())
    for kind, params in CASES.items():
        check = make_check()
        check = replace(check, probe=replace(check.probe, type=kind, params=PROBES[kind].Params(**params)))
        await looker.look(Due(check, datetime.now(UTC)), datetime.now(UTC), ZoneInfo("UTC"), Shared())
    await resources.close()

asyncio.run(main())
"""


def test_no_client_is_imported_while_a_first_look_is_timed() -> None:
    ran = subprocess.run([sys.executable, "-c", FIRST_LOOKS], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr
