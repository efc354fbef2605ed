"""The emulated production's S3: moto's server, with the buckets for videos and dated backups."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from healthd.sandbox.child import Child, SandboxError, free_port

BACKUPS = "syncwatch-backups"
VIDEOS = "syncwatch-videos"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox", "AWS_DEFAULT_REGION": "us-east-1"}
_DAYS = 7
_SIZES = {"syncwatch_{day:%Y%m%d}.dump": 2_000_000, "redis_{day:%Y%m%d}.rdb": 300_000}


# moto checks no signature, but lets only a request that has one touch what is there already
_SIGNED = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential={CREDENTIALS['AWS_ACCESS_KEY_ID']}/20260101/"
    f"{CREDENTIALS['AWS_DEFAULT_REGION']}/s3/aws4_request, SignedHeaders=host, Signature=0"
}


class Storage:
    """One S3 server, spoken to in plain HTTP."""

    def __init__(self, log: Path) -> None:
        if find_spec("moto") is None:
            raise SandboxError("no moto, which stands for AWS: pip install 'healthd[sandbox]'")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._child = Child(
            "S3 (moto)", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], log
        )
        self._session: ClientSession | None = None

    @property
    def running(self) -> bool:
        return self._child.running

    async def start(self, now: datetime) -> None:
        """Start it and fill it: a week of backups, one folder per day, as of `now`."""
        self._child.start()
        await self._child.listening(self.port)
        for bucket in (BACKUPS, VIDEOS):
            await self._request("PUT", bucket)
        for age in reversed(range(_DAYS)):  # as they came: the newest is the last that was written
            await self.put_backups(now - timedelta(days=age))

    async def stop(self) -> None:
        """Stop it; what it held is lost."""
        await self._child.stop()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def accessible(self) -> bool:
        """Whether the videos' bucket answers."""
        try:
            await self._request("HEAD", VIDEOS)
        except SandboxError:
            return False
        return True

    async def put_backups(self, day: datetime, *, share: float = 1) -> None:
        """Write that day's backup objects, at `share` of their usual size."""
        for pattern, size in _SIZES.items():
            await self._request("PUT", self._key(pattern, day), bytes(max(1, int(size * share))))

    async def delete_backups(self, day: datetime) -> None:
        """Delete that day's backup objects."""
        for pattern in _SIZES:
            await self._request("DELETE", self._key(pattern, day))

    @staticmethod
    def _key(pattern: str, day: datetime) -> str:
        return f"{BACKUPS}/{day:%Y-%m-%d}/{pattern.format(day=day)}"

    async def _request(self, method: str, path: str, body: bytes = b"") -> None:
        if self._session is None:
            # a connection each: its server may close an idle one just as it is used again
            connector = TCPConnector(force_close=True)
            self._session = ClientSession(timeout=ClientTimeout(total=10), connector=connector)
        try:
            async with self._session.request(method, f"{self.url}/{path}", data=body, headers=_SIGNED) as response:
                if response.status >= 400:
                    raise SandboxError(f"S3 answered {response.status} to {method} {path}")
        except (ClientError, TimeoutError) as error:
            raise SandboxError(f"S3 is down ({error or 'no answer'}): mend storage-down first") from error
