"""One run of the sandbox, from start to Ctrl-C: the production, its control port, and the daemon that watches it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from healthd.sandbox.child import Child, SandboxError, free_port, port_taken
from healthd.sandbox.control import Control, Places
from healthd.sandbox.inbox import Inbox, Received
from healthd.sandbox.remote import running
from healthd.sandbox.state import folder_of, read, write_private
from healthd.sandbox.world import DEFAULT, World

Say = Callable[[str], None]
DEFAULT_PORT = 9780
ENVIRONMENT_FILE = "env"
_DAEMON_READY_SECONDS = 30
# of this machine's own AWS account and cluster: they would win over what the production says
_MISLEADING = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "KUBERNETES_SERVICE_HOST")
_DATA_PREFIX = "healthd-sandbox-"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `folder` takes logs, the daemon's database and the state; `checks` holds the catalogues."""

    world: type[World]
    folder: Path
    checks: Path
    port: int | None = None  # the daemon's; None: the usual one, or a free one when that is taken
    with_daemon: bool = True


def start(plan: Plan, say: Say) -> int:
    """Run until Ctrl-C, SIGTERM, SIGHUP, or `healthd sandbox stop`. The exit code.

    SandboxError when something does not start; whatever did is stopped again.
    """
    return asyncio.run(_until_told(lambda end: _run(plan, say, end), say))


def start_inbox(folder: Path, port: int | None, say: Say) -> int:
    """Run the inbox alone until Ctrl-C or SIGTERM; `folder` gets the settings for a daemon that is to tell it."""
    if port is not None and port_taken(port):
        raise SandboxError(f"port {port} is in use: choose another with --port")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return asyncio.run(_until_told(lambda _: _run_inbox(folder, port, say), say))


async def _run_inbox(folder: Path, port: int | None, say: Say) -> int:
    inbox = Inbox(lambda message: _report(message, say), port)
    environment = {"HEALTHD_TOKEN": secrets.token_urlsafe(16), **inbox.settings()}
    try:
        # first the file: whoever finds it listening finds that, too
        write_private(folder / ENVIRONMENT_FILE, "\n".join(_exports(environment)) + "\n")
        await inbox.start()
        say(f"Inbox on {inbox.url}; what healthd needs to tell it is in {folder / ENVIRONMENT_FILE}. It receives:")
        await asyncio.Event().wait()
    finally:
        await inbox.stop()
    return 0


async def _until_told(work_of: Callable[[Callable[[], None]], Coroutine[Any, Any, int]], say: Say) -> int:
    """`work_of` is given what ends it."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    work = asyncio.create_task(work_of(told.set))
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sig, told.set)
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        say("Stopping ...")
        work.cancel()  # once: a second Ctrl-C does not interrupt the cleaning up
    else:
        waiting.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        return 0


async def _run(plan: Plan, say: Say, end: Callable[[], None]) -> int:
    """Start everything and watch it; being cancelled is how it ends. Returns only when the daemon ended by itself."""
    started = time.monotonic()
    port = _choose_port(plan)
    logs = _prepare(plan.folder)
    async with AsyncExitStack() as stack:
        data = _data_folder()
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        inbox = Inbox(lambda message: _report(message, say))
        stack.push_async_callback(inbox.stop)
        world = plan.world(data, logs)
        stack.push_async_callback(world.stop)
        say(f"Starting an emulated {world.name} production on 127.0.0.1 ...")
        await asyncio.gather(inbox.start(), world.start())
        environment = _daemon_environment(world, inbox, plan, port)
        write_private(plan.folder / ENVIRONMENT_FILE, "\n".join(_exports(environment)) + "\n")
        places = Places(environment["HEALTHD_PUBLIC_URL"], inbox.url, data)
        control = Control(world, plan.folder, places, end)
        stack.push_async_callback(control.stop)
        await control.start()
        daemon = _daemon(environment, logs)
        if plan.with_daemon:
            stack.push_async_callback(daemon.stop)
            daemon.start()
            await daemon.listening(port, _DAEMON_READY_SECONDS)
        say(_welcome(plan, world, inbox, environment, time.monotonic() - started))
        await (daemon.ended() if plan.with_daemon else asyncio.Event().wait())
    say(f"healthd ended with exit code {daemon.exit_code}; the end of its log:\n{daemon.log_tail()}")
    return 1


def _choose_port(plan: Plan) -> int:
    if plan.port is None:
        return free_port() if plan.with_daemon and port_taken(DEFAULT_PORT) else DEFAULT_PORT
    if plan.with_daemon and port_taken(plan.port):
        raise SandboxError(f"port {plan.port} is in use: choose another for healthd with --port")
    return plan.port


def _prepare(folder: Path) -> Path:
    """The folder for logs, with nothing left of an earlier sandbox. Refuses a folder that is in use."""
    if (other := running(folder)) is not None:
        raise SandboxError(f"a sandbox runs here already (process {other['pid']}); end it with: healthd sandbox stop")
    _remove_data_of_killed(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    logs = folder / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    for old in folder.glob("healthd.db*"):
        old.unlink()
    return logs


def _remove_data_of_killed(folder: Path) -> None:
    """A sandbox that was killed could not remove its servers' data."""
    try:
        data = Path(read(folder).data)
    except SandboxError:
        return
    if data.parent == Path(tempfile.gettempdir()) and data.name.startswith(_DATA_PREFIX):
        shutil.rmtree(data, ignore_errors=True)


def _data_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_DATA_PREFIX))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user and has to get to its part
    return folder


def _daemon_environment(world: World, inbox: Inbox, plan: Plan, port: int) -> dict[str, str]:
    """What `healthd run` needs to watch this production and to tell its inbox."""
    return {
        "HOST_EVERY": "10s",
        "HOST_FRESH_FILES": str(plan.folder.resolve() / "healthd.db*"),
        **world.environment(),
        "HEALTHD_CHECKS": ",".join(str((plan.checks / system).resolve()) for system in world.catalogues),
        "HEALTHD_PORT": str(port),
        "HEALTHD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "HEALTHD_DATABASE_URL": f"sqlite:///{plan.folder.resolve() / 'healthd.db'}",
        "HEALTHD_TOKEN": secrets.token_urlsafe(16),
        **inbox.settings(),
    }


def _daemon(environment: Mapping[str, str], logs: Path) -> Child:
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("HEALTHD_") and n not in _MISLEADING}
    argv = [sys.executable, "-m", "healthd", "run"]
    return Child("healthd", argv, logs / "healthd.log", env={**inherited, **environment})


def _report(message: Received, say: Say) -> None:
    told = f"REFUSED ({message.refused})" if message.refused else message.summary
    say(f"{message.at[11:19]}  {message.channel:9}  {told}")


def _welcome(plan: Plan, world: World, inbox: Inbox, environment: Mapping[str, str], seconds: float) -> str:
    env_file = plan.folder / ENVIRONMENT_FILE
    page = {"healthd's page": environment["HEALTHD_PUBLIC_URL"]} if plan.with_daemon else {}
    told = {
        **page,
        "inbox": f"{inbox.url}   (stands for Slack, PagerDuty and a webhook)",
        **world.parts(),
        "logs": str(plan.folder / "logs"),
    }
    width = max(map(len, told))
    lines = [f"Up in {seconds:.1f} s: {world.description()}.", ""]
    lines += [f"  {name:{width}}   {address}" for name, address in told.items()]
    if plan.with_daemon:
        lines += ["", "Try next, in another terminal (same folder):"]
    else:
        lines += [
            "",
            f"For a daemon of your own (also in {env_file}):",
            *_exports(environment),
            "",
            "Then run `healthd run`, and in another terminal:",
        ]
    lines += [
        *_suggestions(plan),
        "",
        "Ctrl-C stops everything. What the inbox receives:",
    ]
    return "\n".join(lines)


def _suggestions(plan: Plan) -> list[str]:
    program, system = _program(), plan.world.name
    # of several that run, the one meant has to be named
    usual = "" if system == DEFAULT else f" --system {system}"
    where = usual if plan.folder == folder_of(system) else f" --folder {quote(str(plan.folder))}"
    fault = next(iter(plan.world.faults))
    env_file = quote(str(plan.folder / ENVIRONMENT_FILE))
    commands = {
        f"{program} sandbox break {fault}{where}": "an incident opens, and is told to the inbox",
        f"{program} sandbox mend {fault}{where}": "and is resolved",
        f"{program} sandbox list {system}": "everything else that can be broken",
        f". {env_file} && {program} list": "healthd's other commands, on this sandbox",
    }
    longest = max(map(len, commands))
    return [f"  {command:{longest}}   {what}" for command, what in commands.items()]


def _exports(environment: Mapping[str, str]) -> list[str]:
    return [f"export {name}={quote(value)}" for name, value in environment.items()]


def _program() -> str:
    """How this very program is called from a shell in this folder."""
    script = Path(sys.executable).with_name("healthd")
    if shutil.which("healthd") == str(script) or not script.exists():
        return "healthd"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)
