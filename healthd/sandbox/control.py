"""The running sandbox's control port: breaks, mends, tells how things are, and ends it."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aiohttp import web
from redis.exceptions import RedisError

from healthd.sandbox.child import SandboxError, free_port
from healthd.sandbox.faults import FAULTS, Fault
from healthd.sandbox.production import Production
from healthd.sandbox.state import State, remove, write

Handler = Callable[[str], Awaitable[dict[str, Any]]]


class Control:
    """Listens on loopback; every request needs the token that stands in the state file."""

    def __init__(self, production: Production, folder: Path, page_url: str, end: Callable[[], None]) -> None:
        self._production, self._folder, self._end = production, folder, end
        self._broken: dict[str, Fault] = {}
        self._lock = asyncio.Lock()
        self._port = free_port()
        self._runner: web.AppRunner | None = None
        self.state = State(
            pid=os.getpid(),
            control_url=f"http://127.0.0.1:{self._port}",
            token=secrets.token_urlsafe(24),
            page_url=page_url,
            inbox_url=production.inbox.url,
            data=str(production.folder),
        )

    async def start(self) -> None:
        """Listen and write the state file."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/status", self._authorised(self._status)),
                web.post("/break/{fault}", self._authorised(self._break)),
                web.post("/mend/{fault}", self._authorised(self._mend)),
                web.post("/stop", self._authorised(self._stop)),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        write(self._folder, self.state)

    async def stop(self) -> None:
        """Stop listening and remove the state file."""
        if self._runner is not None:
            remove(self._folder)
            await self._runner.cleanup()

    def _authorised(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """One request at a time, with the token; what cannot be done is answered as an error."""

        async def answer(request: web.Request) -> web.Response:
            if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {self.state.token}"):
                return web.json_response({"error": "wrong token"}, status=401)
            try:
                async with self._lock:
                    return web.json_response(await handler(request.match_info.get("fault", "")))
            except (SandboxError, RedisError, OSError) as error:
                return web.json_response({"error": str(error)}, status=409)

        return answer

    async def _status(self, _: str) -> dict[str, Any]:
        state = asdict(self.state)
        del state["token"]
        return {**state, "parts": self._production.parts(), "broken": list(self._broken)}

    async def _break(self, name: str) -> dict[str, Any]:
        fault = _known(name)
        if name in self._broken:
            raise SandboxError(f"{name} is broken already; mend it with: healthd sandbox mend {name}")
        await fault.act(self._production)
        self._broken[name] = fault
        return {"breaks": fault.breaks, "noticed_by": fault.noticed_by, "after": fault.after}

    async def _mend(self, name: str) -> dict[str, Any]:
        if name != "all" and name not in self._broken:
            others = f"; broken: {', '.join(self._broken)}" if self._broken else ""
            raise SandboxError(f"{_known(name).name} is not broken{others}")
        # the latest first: what was broken before may need it
        mended = list(reversed(self._broken)) if name == "all" else [name]
        for each in mended:
            await self._broken[each].mend(self._production)
            del self._broken[each]
        return {"mended": mended, "broken": list(self._broken)}

    async def _stop(self, _: str) -> dict[str, Any]:
        self._end()
        return {"pid": self.state.pid}


def _known(name: str) -> Fault:
    """The fault of that name. SandboxError with the nearest one otherwise."""
    if name in FAULTS:
        return FAULTS[name]
    near = get_close_matches(name, FAULTS, n=1)
    hint = f"did you mean {near[0]}?" if near else "see: healthd sandbox list"
    raise SandboxError(f"there is no fault {name!r}; {hint}")
