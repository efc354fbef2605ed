"""Another terminal's way to a running sandbox."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from healthd.sandbox.child import SandboxError
from healthd.sandbox.state import folder_of, not_running, read, usual_folders
from healthd.sandbox.world import DEFAULT


class Remote:
    """A running sandbox, found by its folder. Every call may raise SandboxError, which says what to do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = read(folder)

    def status(self) -> dict[str, Any]:
        """`system`, `pid`, addresses, `parts` with their state, and what is `broken`."""
        return self._ask("GET", "status")

    def break_(self, fault: str) -> dict[str, Any]:
        """Break something: what it `breaks`, which checks it should be `noticed_by`, and `after` how long."""
        return self._ask("POST", f"break/{fault}")

    def mend(self, fault: str) -> dict[str, Any]:
        """Mend one thing, or `all`: what was `mended` and what is still `broken`."""
        return self._ask("POST", f"mend/{fault}")

    def stop(self) -> int:
        """Tell the sandbox to end. Its process id."""
        return int(self._ask("POST", "stop")["pid"])

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self._state.control_url}/{path}", method=method, headers={"Authorization": f"Bearer {self._state.token}"}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=60) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise SandboxError(_reason(error)) from None
        except (OSError, ValueError):
            raise not_running(self._folder) from None
        return answer


def running(folder: Path) -> dict[str, Any] | None:
    """The status of the sandbox that runs in this folder; None when none does."""
    try:
        return Remote(folder).status()
    except SandboxError:
        return None


def find(folder: Path | None, system: str | None) -> Remote:
    """The sandbox in `folder`, or that of `system`, or else the only one that runs here. SandboxError if unclear."""
    if folder is not None or system is not None:
        return Remote(folder or folder_of(str(system)))
    here = [usual for usual in usual_folders() if running(usual)]
    if len(here) > 1:
        names = ", ".join(usual_folders()[usual] for usual in here)
        raise SandboxError(f"several sandboxes run here ({names}): say which with --system")
    return Remote(here[0] if here else folder_of(DEFAULT))


def running_one(folder: Path | None, system: str | None) -> dict[str, Any] | None:
    """The status of the sandbox that `find` finds; None when none runs, or several do."""
    try:
        return find(folder, system).status()
    except SandboxError:
        return None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the sandbox answered {error.code} {error.reason}"
