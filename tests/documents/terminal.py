"""A reader's terminal: bash that finds only the programs the pages may use, and remembers folder and variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.documents.pages import ROOT
from tests.documents.programs import CHECKED, REAL
from tests.documents.zygote import install


class Programs:
    """The folder that is PATH, and the server behind the checked programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        for name in REAL:
            found = shutil.which(name)
            assert found, f"no {name} on PATH: the pages use it"
            (self.folder / name).symlink_to(found)
        socket = folder / "zygote"
        install(self.folder, socket, list(CHECKED))
        argv = [sys.executable, "-m", "tests.documents.zygote", str(socket)]
        self.log = (folder / "zygote.log").open("wb")
        self._server = subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL
        )
        assert self._server.stdout
        assert self._server.stdout.readline() == b"ready\n", (folder / "zygote.log").read_text()

    def stop(self) -> None:
        """End the server."""
        self._server.kill()
        self._server.wait()
        self.log.close()


class Terminal:
    """Commands typed one after the other."""

    def __init__(self, programs: Programs, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = {"HOME": str(folder), "USER": "ada", "LANG": "C.UTF-8", "CURL_HOME": str(programs.folder)}
        self.variables |= {"PATH": str(programs.folder), **variables}
        (programs.folder / ".curlrc").write_text("fail-with-body\nmax-time = 30\n")
        self._state = programs.folder.parent / "terminal"

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        """What came of it; standard error goes where standard output goes, as on a screen."""
        script = f"{text}\ncode=$?\n{{ pwd; env -0; }} >{self._state}\nexit $code\n"
        argv = ["/bin/bash", "-o", "pipefail", "-c", script]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        if self._state.exists():
            folder, _, variables = self._state.read_text().partition("\n")
            self.folder = Path(folder)
            pairs = (pair.partition("=") for pair in variables.split("\0") if pair)
            kept = {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD", "PATH")}
            self.variables = kept | {"PATH": self.variables["PATH"]}
            self._state.unlink()
        return done


def link_all(of: Path, to: Path, but: frozenset[str] = frozenset()) -> None:
    """The entries of one folder in another."""
    for entry in os.scandir(of):
        if entry.name not in but and not (to / entry.name).exists():
            (to / entry.name).symlink_to(entry.path)
