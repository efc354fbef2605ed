"""`python -m tests.documents.zygote SOCKET`: runs the checked programs, each in a fork of a process that has imported
everything already, so that a hundred commands take seconds. A client sends its words, folder, variables and its three
standard files, and is answered with the exit code."""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
from pathlib import Path

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({path!r})
told = [os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]
socket.send_fds(server, [json.dumps(told).encode()], [0, 1, 2])
os._exit(int(server.recv(16) or b"98"))
"""


def install(folder: Path, path: Path, names: list[str]) -> None:
    """Programs that ask the server at `path`."""
    for name in names:
        file = folder / name
        file.write_text(CLIENT.format(python=sys.executable, path=str(path)))
        file.chmod(0o755)


def serve(path: str) -> None:
    """Until the process is ended."""
    from healthd.cli import COMMANDS, cli
    from healthd.loading import load_catalogue
    from healthd.sandbox.world import WORLDS, world_class
    from healthd.settings import load_settings
    from tests.documents import programs
    from tests.documents.pages import ROOT

    for name in ("httpx", "rich.table", "healthd.evaluate"):  # which commands import when they run
        importlib.import_module(name)
    context = cli.make_context("healthd", ["validate"])
    for name in COMMANDS:
        cli.get_command(context, name)
    for name in WORLDS:
        world_class(name)
    # a catalogue with many types of probe: what is set up on first use is set up once
    load_catalogue(load_settings({}), [str(folder) for folder in (ROOT / "checks").glob("host")])
    gc.freeze()  # forks share what is there, and live too short to collect anything
    gc.disable()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(client, programs.run)
            os._exit(0)
        client.close()
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _answer(client: socket.socket, run: object) -> None:
    told, files, _, _ = socket.recv_fds(client, 1 << 20, 3)
    name, words, folder, variables = json.loads(told)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(file, number)
        for file in (*files, client.fileno()):
            os.close(file)
        _become(folder, variables)
        assert callable(run)
        os._exit(_exit_code(run, name, words))
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    client.send(str(os.waitstatus_to_exitcode(status) & 0xFF).encode())


def _become(folder: str, variables: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)


def _exit_code(run: object, name: str, words: list[str]) -> int:
    assert callable(run)
    try:
        code = run(name, words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 97
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    return int(code)


if __name__ == "__main__":
    serve(sys.argv[1])
