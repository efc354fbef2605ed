"""The AWS account of an emulated production: its server, and what sets its scene.

aws = Aws(logs / "aws.log")
await aws.start()
await aws.buckets.create("backups", versioning=True)
await aws.buckets.put("backups", "backup.sql.gz", 2_000_000, ago=timedelta(minutes=10))
await aws.metrics.put("AWS/EC2", "CPUUtilization", {"InstanceId": "i-0"}, 35)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from healthd.sandbox.child import Child, SandboxError, free_port
from healthd.sandbox.parts.aws.buckets import Buckets
from healthd.sandbox.parts.aws.databases import Caches, Databases
from healthd.sandbox.parts.aws.identity import Identity
from healthd.sandbox.parts.aws.network import Network
from healthd.sandbox.parts.aws.telemetry import Costs, Logs, Metrics

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox", "AWS_DEFAULT_REGION": "us-east-1"}


class Aws:
    """One account. Every scene is set for good: a server that is stopped for ever takes it along."""

    def __init__(self, log: Path) -> None:
        if find_spec("moto") is None:
            raise SandboxError("no moto, which stands for AWS: pip install 'healthd[sandbox]'")
        self.port = free_port()
        self._stage_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        argv = [sys.executable, "-m", "healthd.sandbox.parts.aws.server", str(self.port), str(self._stage_port)]
        self._child = Child("AWS (moto)", argv, log)
        self._session: ClientSession | None = None
        self._open = True
        self.buckets = Buckets(self)
        self.databases, self.caches = Databases(self), Caches(self)
        self.metrics, self.logs, self.costs = Metrics(self), Logs(self), Costs(self)
        self.network, self.identity = Network(self), Identity(self)

    @property
    def running(self) -> bool:
        return self._child.running and self._open

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which every tool of AWS finds this account."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true", **CREDENTIALS}

    async def start(self) -> None:
        """Start it, empty."""
        self._child.start()
        await self._child.listening(self.port)
        await self._child.listening(self._stage_port)

    async def stop(self) -> None:
        """Stop it; what it held is lost."""
        await self._child.stop()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def close_endpoint(self) -> None:
        """Refuse connections to AWS; nothing is lost."""
        await self.stage("door", "close")
        self._open = False

    async def open_endpoint(self) -> None:
        """Answer again."""
        await self.stage("door", "open")
        self._open = True

    async def call(self, operation: str, region: str | None = None, **request: Any) -> Any:
        """Ask any operation, as "rds.create_db_instance". The answer as boto3 has it, times as text.

        SandboxError with what AWS says against it.
        """
        where = {"region": region} if region else {}
        return await self.stage("aws", operation, request=request, **where)

    async def alter(self, service: str, operation: str, where: Mapping[str, Any], **fields: Any) -> None:
        """Change what an operation (as AWS spells it) answers: set `fields` in all that has those of `where`.

        None takes a field away; {"ago": seconds} is a moment that stays that long ago.
        """
        given = {"service": service, "operation": operation, "where": where, "fields": fields}
        await self.stage("alterations", "alter", **given)

    async def refuse(self, service: str, operation: str, code: str, message: str = "", status: int = 400) -> None:
        """Answer an operation ("*": all of the service) with an error, such as AccessDenied."""
        given = {"service": service, "operation": operation, "code": code, "message": message, "status": status}
        await self.stage("alterations", "refuse", **given)

    async def allow(self, service: str, operation: str) -> None:
        """Answer it again."""
        await self.stage("alterations", "allow", service=service, operation=operation)

    async def stage(self, part: str, do: str, **given: Any) -> Any:
        """Have something done behind the scene. SandboxError when that fails."""
        body = {"part": part, "do": do, "with": given}
        try:
            async with self.session.post(f"http://127.0.0.1:{self._stage_port}/", json=body) as response:
                said = await response.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise SandboxError(f"AWS is down ({error or 'no answer'})") from error
        if "error" in said:
            raise SandboxError(f"AWS: {said['error']}")
        return said["result"]

    @property
    def session(self) -> ClientSession:
        """For plain HTTP: a connection each, as its server may close an idle one just as it is used again."""
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=30), connector=TCPConnector(force_close=True))
        return self._session
