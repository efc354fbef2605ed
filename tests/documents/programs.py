"""What a program of the pages does when a test types it: the real thing where it can run here, else what can be
proven of it. A program that is not named here is not found by the shell, and its command fails the test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from healthd.cli import cli
from healthd.cli import main as healthd_main
from healthd.sandbox.world import WORLDS, world_class
from tests.documents.pages import ROOT

# run as they are
REAL = ("bash", "cat", "chmod", "cp", "curl", "echo", "env", "grep", "jq", "ls", "mkdir", "mv", "openssl", "pwd", "sed",
        "sqlite3", "promtool", "amtool")  # fmt: skip
# asked for their options only
HELP = {name: shutil.which(name) or name for name in ("psql", "pg_dump", "pg_restore")}
# of the manifests in deploy/
OBJECTS = {"deployment/healthd", "service/healthd", "statefulset/healthd", "configmap/healthd", "secret/healthd"}


# before HOME is the reader's
TOOLS = Path(
    subprocess.run([ROOT / ".ci/kubernetes-tools", "path"], capture_output=True, text=True, check=True).stdout.strip()
)


class WrongError(Exception):
    """The command would not do what the page says."""


def tool(name: str) -> str:
    """kubectl or helm as .ci/kubernetes-tools keeps them."""
    if not (TOOLS / name).is_file():
        raise WrongError(f"no {name} in {TOOLS}: run .ci/kubernetes-tools")
    return str(TOOLS / name)


def command_of(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command that the words after `healthd` name, and what is left of them."""
    found: click.Command = cli
    rest = list(words)
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        under = found.get_command(click.Context(found), rest[0])
        if under is None:
            break
        found, rest = under, rest[1:]
    return found, rest


def healthd(words: list[str]) -> int:
    """Really run; but daemons, and a sandbox's faults, are only parsed: tests of their own run them."""
    if words[0] == "check" and "/" in words[-1]:
        system = words[-1].split("/")[0]
        if (ROOT / "checks" / system).is_dir() and not Path("checks", system).exists():
            return _written(ROOT / "checks" / system, words[-1])
    if words[:1] not in (["run"], ["worker"], ["sandbox"]):
        sys.argv = ["healthd", *words]
        healthd_main()
    if words[0] == "sandbox" and words[1] in WORLDS:
        words = ["sandbox", "start", *words[1:]]
    found, rest = command_of(words)
    if isinstance(found, click.Group):
        raise WrongError(f"healthd {' '.join(words)}: no such command")
    context = found.make_context(words[0], rest)
    fault = context.params.get("fault", "all")
    if fault != "all" and not any(fault in world_class(name).faults for name in WORLDS):
        raise WrongError(f"no sandbox has the fault {fault}")
    return 0


def _written(system: Path, check: str) -> int:
    """What runs in a sandbox only: its catalogue has the check."""
    if not any(f"name: {check.split('/')[1]}\n" in file.read_text() for file in system.glob("*.yaml")):
        raise WrongError(f"{system} has no {check}")
    return 0


def make(words: list[str]) -> int:
    """What it would do: `make run` installs and starts servers."""
    return _call("/usr/bin/make", "--dry-run", "-C", str(ROOT), *words)


def docker(words: list[str]) -> int:
    """There is no registry to build from, and the tests of the image build it: here, that what it names exists."""
    match words:
        case ["build", *rest]:
            stages = re.findall(r"^FROM .* AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
            if "--target" in rest and rest[rest.index("--target") + 1] not in stages:
                raise WrongError(f"the Dockerfile has the stages {stages}")
            if not Path(rest[-1], "Dockerfile").exists():
                raise WrongError(f"no Dockerfile in {rest[-1]}")
        case ["compose", "-f", file, "up" | "pull" | "logs" | "restart" | "down", *_]:
            described = yaml.safe_load(Path(file).read_text())
            for secret in described.get("secrets", {}).values():
                named = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", secret["file"])
                if not (Path(file).parent / named).exists():
                    raise WrongError(f"{file} wants {named}")
        case ["stop", "healthd"]:
            pass
        case _:
            raise WrongError("no rule for this command of docker")
    return 0


def kubectl(words: list[str]) -> int:
    """There is no cluster: what would be sent to it is rendered, what is asked of it is held against --help."""
    program = tool("kubectl")
    where = ("--namespace", "-n")
    plain = [w for n, w in enumerate(words) if w not in where and (n == 0 or words[n - 1] not in where)]
    match plain:
        case ["kustomize", *_]:
            return _call(program, *plain)
        case ["apply", "--kustomize" | "-k", folder]:
            return _call(program, "kustomize", folder)
        case ["apply", "-f" | "--filename", file]:
            text = sys.stdin.read() if file == "-" else Path(file).read_text()
            return _manifests(text)
        case ["create", *_]:
            return _call(program, *words, "--dry-run=client", "--output=yaml")
        case [verb, *rest]:
            for word in rest:
                if re.fullmatch(r"[a-z]+/[\w.-]+", word) and word not in OBJECTS:
                    raise WrongError(f"{word} is not of the manifests in deploy/")
            return _known_options([program, verb], rest)
    raise WrongError("no rule for this command of kubectl")


def helm(words: list[str]) -> int:
    """`install` and `upgrade` render what they would send."""
    match words:
        case ["install" | "upgrade", *rest]:
            only_there = {"--install", "--create-namespace", "--wait", "--atomic"}
            return _call(tool("helm"), "template", *(w for w in rest if w not in only_there))
        case ["template" | "lint", *_]:
            return _call(tool("helm"), *words)
        case ["test" | "rollback" as verb, *rest]:
            return _known_options([tool("helm"), verb], rest)
    raise WrongError("no rule for this command of helm")


def kind(words: list[str]) -> int:
    """Another project's: only the one form we show."""
    if words[:2] != ["load", "docker-image"] or len(words) != 3:
        raise WrongError("no rule for this command of kind")
    return 0


def psql(words: list[str]) -> int:
    """A server that is not ours: its options exist, and it is given statements."""
    if not sys.stdin.isatty() and not re.search(r"^GRANT ", sys.stdin.read(), re.MULTILINE):
        raise WrongError("nothing is piped to psql")
    return _known_options([HELP["psql"]], words)


def pg_dump(words: list[str]) -> int:
    """Likewise: its options exist."""
    return _known_options([HELP["pg_dump"]], words)


def pg_restore(words: list[str]) -> int:
    """Likewise: its options exist."""
    return _known_options([HELP["pg_restore"]], words)


def python3(words: list[str]) -> int:
    """The project's own."""
    return _call(sys.executable, *words)


CHECKED: dict[str, Callable[[list[str]], int]] = {
    function.__name__: function
    for function in (healthd, make, docker, kubectl, helm, kind, psql, pg_dump, pg_restore, python3)
}


def run(name: str, words: list[str]) -> int:
    """The exit code of a checked program."""
    try:
        return CHECKED[name](words)
    except click.ClickException as error:
        error.show()
        return 3
    except (WrongError, OSError, ValueError) as problem:
        print(f"{name} {' '.join(words)}: {problem}", file=sys.stderr)
        return 99


def _call(*argv: str) -> int:
    sys.stdout.flush()
    os.execv(argv[0], argv)


def _known_options(program: list[str], words: Sequence[str]) -> int:
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True)
    if kinds := [w for w in words if w.startswith("--") and w.partition("=")[0] not in done.stdout + COMMON]:
        raise WrongError(f"unknown options {kinds}")
    return 0


COMMON = "--namespace --context --kubeconfig --as --url"  # of every command of kubectl


def _manifests(text: str) -> int:
    found: list[dict[str, Any]] = [document for document in yaml.safe_load_all(text) if document]
    if not found or not all(o.get("apiVersion") and o.get("kind") and o["metadata"]["name"] for o in found):
        raise WrongError("not manifests")
    return 0
