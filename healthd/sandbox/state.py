"""Where a running sandbox can be found: a file only its owner can read, naming the control port and its token."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from healthd.sandbox.child import SandboxError
from healthd.sandbox.world import DEFAULT, WORLDS

DEFAULT_FOLDER = Path(".sandbox")
_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """What the file holds."""

    pid: int
    system: str
    control_url: str
    token: str
    page_url: str
    inbox_url: str
    data: str  # folder of the servers' data


def folder_of(system: str) -> Path:
    """Where the sandbox of a system keeps its state, unless told otherwise: each in its own, so several may run."""
    return DEFAULT_FOLDER if system == DEFAULT else DEFAULT_FOLDER.with_name(f"{DEFAULT_FOLDER}-{system}")


def usual_folders() -> dict[Path, str]:
    """Where sandboxes are looked for when nobody says where."""
    return {folder_of(system): system for system in WORLDS}


def write(folder: Path, state: State) -> None:
    """Write the file anew."""
    write_private(folder / _FILE, json.dumps(asdict(state), indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file anew, mode 0600 from its first byte."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def remove(folder: Path) -> None:
    """Remove the file, if it is there."""
    (folder / _FILE).unlink(missing_ok=True)


def read(folder: Path) -> State:
    """The state of the sandbox that was started in `folder`. SandboxError when there is none to be read."""
    try:
        return State(**json.loads((folder / _FILE).read_text()))
    except FileNotFoundError:
        raise not_running(folder) from None
    except PermissionError:
        raise SandboxError(f"the sandbox in {folder.resolve()} belongs to another user") from None
    except (ValueError, TypeError):
        raise SandboxError(f"{folder.resolve() / _FILE} is damaged: remove it") from None


def not_running(folder: Path) -> SandboxError:
    """What to say when nothing answers."""
    system = usual_folders().get(folder, DEFAULT)
    start = "start" if system == DEFAULT else f"start {system}"
    return SandboxError(f"no sandbox is running in {folder.resolve()}: start one with: healthd sandbox {start}")
