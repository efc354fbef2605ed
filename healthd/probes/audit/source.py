"""Where a report comes from: the newest file of a glob, or a program that is run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthd.model.redact import Redactor
from healthd.model.units import Unit, format_value
from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.blocking import Stop, blocking_calls
from healthd.probes.command.child import ChildError
from healthd.probes.command.params import ProgramParams
from healthd.probes.command.run import run_program
from healthd.probes.files.pattern import make_pattern
from healthd.probes.files.search import Search, SearchError
from healthd.probes.paths import shown

_FILE_MAX, _OUTPUT_MAX = 50_000_000, 8_000_000  # bytes
_NAMES_MAX = 10_000
_SHARE_OF_TIMEOUT = 0.95


@dataclass(frozen=True, slots=True)
class Stored:
    """A report as it was read. `age` in seconds; None when it was made just now."""

    document: Any
    where: str
    age: float | None = None


async def from_file(glob: str, context: ProbeContext) -> Stored:
    """The newest file. Raises ProbeError: missing, forbidden, limit, protocol, timeout."""
    pattern = make_pattern(glob, context.now.astimezone(context.zone))

    def work(stop: Stop) -> Stored:
        found = max(Search(stop, _NAMES_MAX, False).files(pattern), key=lambda f: (f.changed, f.path), default=None)
        if found is None:
            raise ProbeError(f"no report is there that fits {shown(glob)}: nothing has been looked at", "missing")
        if found.size > _FILE_MAX:
            size = format_value(float(found.size), Unit.BYTES)
            raise ProbeError(f"{shown(found.path)} is {size} long: more than a report may be", "limit")
        age = max(0.0, context.now.timestamp() - found.changed)
        return Stored(_parse(Path(found.path).read_bytes(), shown(found.path)), shown(found.path), age)

    calls = await blocking_calls(context)
    try:
        return await calls.call(f"reports in {pattern.base}", work, context.timeout.total_seconds() * _SHARE_OF_TIMEOUT)
    except TimeoutError:
        raise ProbeError(f"{shown(pattern.base)} does not answer", "timeout") from None
    except SearchError as error:
        raise ProbeError(shown(str(error)), error.kind) from None
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) else "error"
        raise ProbeError(f"cannot read {shown(str(error.filename))}: {error.strerror}", kind) from None


async def from_program(program: ProgramParams, context: ProbeContext) -> Stored:
    """What a program writes. Its exit code tells that it found something, not that it failed. Raises ProbeError."""
    redact = Redactor(program.secrets())
    name = program.argv[0]
    try:
        done = await run_program(program, context, _OUTPUT_MAX)
    except ChildError as error:
        raise ProbeError(redact(f"{name} {error} and was stopped"), error.kind) from None
    except ProbeError as error:
        raise ProbeError(redact(error.reason), error.kind) from None
    if done.stdout.cut:
        raise ProbeError(f"{name} wrote more than {_OUTPUT_MAX} bytes: more than a report may be", "limit")
    try:
        return Stored(_parse(done.stdout.data, name), name)
    except ProbeError as error:
        said = (done.stderr.data.strip() or done.stdout.data.strip()).decode(errors="replace").partition("\n")[0]
        words = f"; exit code {done.exit_code}" + (f": {shown(redact(said))[:200]}" if said else "")
        raise ProbeError(error.reason + words, error.kind) from None


def _parse(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ProbeError(f"{where}: not JSON, so no report", "protocol") from None
