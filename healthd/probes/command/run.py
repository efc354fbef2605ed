"""Running a program that the settings allow, within the check's timeout."""

from __future__ import annotations

import os

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.blocking import blocking_calls
from healthd.probes.command.child import Finished, run_child
from healthd.probes.command.params import ProgramParams
from healthd.probes.command.programs import SEARCH_PATH, resolve_allowed

# shares of the check's timeout: to run, then from SIGTERM to SIGKILL; the rest is for the probe itself
_RUN, _GRACE, _MAX_GRACE = 0.8, 0.1, 2.0


async def run_program(params: ProgramParams, context: ProbeContext, keep: int) -> Finished:
    """Run it to its end, keeping `keep` bytes of each output.

    Raises ProbeError (forbidden, config, timeout) and ChildError.
    """
    seconds = context.timeout.total_seconds()
    calls = await blocking_calls(context)
    try:
        # starting suspends the whole daemon until the program is loaded: first see that its file system answers
        program = await calls.call(
            f"{params.argv[0]} in {params.cwd}", lambda _stop: _look_up(params, context), seconds * _RUN
        )
    except TimeoutError:
        raise ProbeError(f"the file system of {params.argv[0]} or of {params.cwd} does not answer", "timeout") from None
    given = {name: value.get_secret_value() for name, value in params.env.items()}
    try:
        return await run_child(
            (program, *params.argv[1:]),
            env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8"} | given,
            cwd=params.cwd,
            timeout=seconds * _RUN,
            grace=min(seconds * _GRACE, _MAX_GRACE),
            keep=keep,
        )
    except OSError as error:
        hint = " (a script needs a first line such as #!/bin/sh)" if error.errno == 8 else ""
        raise ProbeError(f"cannot run {program}: {error.strerror}{hint}", "config") from None


def _look_up(params: ProgramParams, context: ProbeContext) -> str:
    """In a thread: the program's path, once it is sure that it may run and is there."""
    program = resolve_allowed(params.argv[0], context.limits.allowed_commands)
    if not os.access(params.cwd, os.X_OK):
        raise ProbeError(f"cwd {params.cwd} is not there, or healthd may not go into it", "config")
    return program
