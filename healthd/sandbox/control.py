"""The running sandbox's control port: breaks, mends, tells how things are, and ends it."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aiohttp import web

from healthd.sandbox.child import SandboxError, free_port
from healthd.sandbox.state import State, remove, write
from healthd.sandbox.world import Fault, World, check_id

Handler = Callable[[str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Places:
    """What else belongs to the sandbox: healthd's page, the inbox, and the folder of the servers' data."""

    page_url: str
    inbox_url: str
    data: Path


class Control:
    """Listens on loopback; every request needs the token that stands in the state file."""

    def __init__(self, world: World, folder: Path, places: Places, end: Callable[[], None]) -> None:
        self._world, self._folder, self._end = world, folder, end
        self._broken: dict[str, Fault[Any]] = {}
        self._lock = asyncio.Lock()
        self._port = free_port()
        self._runner: web.AppRunner | None = None
        self.state = State(
            pid=os.getpid(),
            system=world.name,
            control_url=f"http://127.0.0.1:{self._port}",
            token=secrets.token_urlsafe(24),
            page_url=places.page_url,
            inbox_url=places.inbox_url,
            data=str(places.data),
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
            except SandboxError as error:
                return web.json_response({"error": str(error)}, status=409)
            except Exception as error:  # noqa: BLE001 - of whichever server was to be broken or mended
                return web.json_response({"error": f"{type(error).__name__}: {error}".strip()}, status=409)

        return answer

    async def _status(self, _: str) -> dict[str, Any]:
        state = asdict(self.state)
        del state["token"]
        return {**state, "parts": self._world.parts(), "broken": list(self._broken)}

    async def _break(self, name: str) -> dict[str, Any]:
        fault = self._known(name)
        if name in self._broken:
            raise SandboxError(f"{name} is broken already; mend it with: healthd sandbox mend {name}")
        try:
            await fault.act(self._world)
        except SandboxError:  # refused before anything was done
            raise
        except Exception as error:
            await self._undo(fault)
            raise self._refused(f"{name} cannot be broken now", error, name) from error
        self._broken[name] = fault
        noticed = [check_id(self._world, check) for check in fault.noticed_by]
        return {"breaks": fault.breaks, "noticed_by": noticed, "after": fault.after}

    async def _mend(self, name: str) -> dict[str, Any]:
        if name != "all" and name not in self._broken:
            others = f"; broken: {', '.join(self._broken)}" if self._broken else ""
            raise SandboxError(f"{self._known(name).name} is not broken{others}")
        # the latest first: what was broken before may need it
        mended = list(reversed(self._broken)) if name == "all" else [name]
        for each in mended:
            try:
                await self._broken[each].mend(self._world)
            except SandboxError:
                raise
            except Exception as error:
                raise self._refused(f"{each} cannot be mended now", error, each) from error
            del self._broken[each]
        return {"mended": mended, "broken": list(self._broken)}

    async def _undo(self, fault: Fault[Any]) -> None:
        """Mend what was done of a fault that failed half-way; if that fails too, it is mended after all others."""
        try:
            await fault.mend(self._world)
        except Exception:  # noqa: BLE001 - of whichever server is broken
            self._broken = {fault.name: fault, **self._broken}

    def _refused(self, what: str, error: Exception, name: str) -> SandboxError:
        others = [other for other in self._broken if other != name]
        hint = f"; broken is {', '.join(others)}: mend that first" if others else ""
        return SandboxError(f"{what}: {str(error) or type(error).__name__}{hint}")

    async def _stop(self, _: str) -> dict[str, Any]:
        self._end()
        return {"pid": self.state.pid}

    def _known(self, name: str) -> Fault[Any]:
        """The fault of that name. SandboxError with the nearest one otherwise."""
        faults = self._world.faults
        if name in faults:
            return faults[name]
        near = get_close_matches(name, faults, n=1)
        hint = f"did you mean {near[0]}?" if near else "see: healthd sandbox list"
        raise SandboxError(f"there is no fault {name!r} in the sandbox of {self._world.name}; {hint}")
