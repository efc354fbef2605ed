"""`command`: runs a program the settings allow, without a shell, and measures how it ended and what it said."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.command.child import Captured, ChildError, Finished
from healthd.probes.command.extract import from_json, from_text
from healthd.probes.command.params import CommandParams
from healthd.probes.command.plugin import parse_plugin_output
from healthd.probes.command.run import run_program
from healthd.probes.patterns import apart_if_costly
from healthd.probes.scale import base_unit

_PLUGIN_STATUSES = (Level.OK, Level.WARNING, Level.CRITICAL)
_MAX_NOTE = 200
# more than is shown is searched for secrets, so that cutting leaves no first half of one
_LONGEST_SECRET = 10_000


class CommandProbe:
    """Runs one program once. Nothing it starts in its own process group outlives the look."""

    Params: ClassVar[type[base.Params]] = CommandParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "exit_code": MeasureInfo(Unit.COUNT, "of the program; 128 + n when signal n ended it; not for plugins"),
        "duration": MeasureInfo(Unit.SECONDS, "from its start to its end"),
        "lines": MeasureInfo(Unit.COUNT, "lines on its standard output"),
        "plugin_status": MeasureInfo(Unit.COUNT, "0 ok, 1 warning, 2 critical; with format: plugin"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold(measure="exit_code", critical=parse_condition("!= 0"), missing=Level.OK, name="exit_code"),
        Threshold(
            measure="plugin_status", warning=parse_condition("= 1"), critical=parse_condition("= 2"),
            missing=Level.OK, name="plugin_status",
        ),
    )  # fmt: skip

    def measures_for(self, params: CommandParams) -> Mapping[str, MeasureInfo] | None:
        """Any name may be in a plugin's performance data."""
        if params.format == "plugin":
            return None
        known = {name: info for name, info in self.measures.items() if name != "plugin_status"}
        units = {name: e.unit for name, e in params.extract.items()} | {
            name: e.unit for name, e in params.json_.items()
        }
        return known | {
            name: MeasureInfo(base_unit(unit) if unit else None, "extracted from the output")
            for name, unit in units.items()
        }

    async def run(self, params: CommandParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError: forbidden, config, timeout, limit, protocol, plugin (it does not know)."""
        redact = Redactor(params.secrets())
        try:
            finished = await run_program(params, context, context.limits.max_command_output_bytes)
            evidence = _evidence(finished.stdout, finished.stderr, redact, context)
            judge = _plugin if params.format == "plugin" else _text
            size = len(finished.stdout.data) + len(finished.stderr.data)
            looks = [(extract.pattern, size) for extract in params.extract.values()]
            return await apart_if_costly(looks, partial(judge, params, finished, redact, evidence))
        except ChildError as error:
            evidence = _evidence(error.stdout, error.stderr, redact, context)
            raise ProbeError(f"{params.argv[0]} {error} and was stopped", error.kind, evidence) from None
        except ProbeError as error:
            raise ProbeError(redact(error.reason), error.kind, error.evidence) from None


def _text(params: CommandParams, finished: Finished, redact: Redactor, evidence: tuple[Evidence, ...]) -> Observation:
    stdout, stderr = _decode(finished.stdout), _decode(finished.stderr)
    failed = finished.exit_code != 0
    measurements = [Measurement("exit_code", finished.exit_code, Unit.COUNT), *_common(finished)]
    try:
        measurements += from_text(f"{stdout}\n{stderr}", params.extract)
        measurements += from_json(stdout, params.json_, cut=finished.stdout.cut)
    except ProbeError as error:
        if not failed:  # what a failing program says need not make sense: that it failed is the news
            raise ProbeError(error.reason, error.kind, evidence) from None
    note = ""
    if failed:
        said = (stderr.strip() or stdout.strip()).partition("\n")[0]
        note = f"exit code {finished.exit_code}" + (f": {_printable(redact(said))[:_MAX_NOTE]}" if said else "")
    shown = (
        Measurement(m.name, _printable(redact(m.value)), m.unit, m.series) if isinstance(m.value, str) else m
        for m in measurements
    )
    return Observation(tuple(shown), evidence, note)


def _plugin(params: CommandParams, finished: Finished, redact: Redactor, evidence: tuple[Evidence, ...]) -> Observation:
    output = parse_plugin_output(_decode(finished.stdout))
    summary = _printable(redact(output.summary))[:_MAX_NOTE] or "(the plugin said nothing)"
    if finished.exit_code not in _PLUGIN_STATUSES:
        known = finished.exit_code == Level.UNKNOWN
        reason = summary if known else f"exit code {finished.exit_code} is none of a plugin's (0 to 3): {summary}"
        raise ProbeError(reason, "plugin" if known else "protocol", evidence)
    if output.unread:
        evidence = (*evidence, Evidence("Performance data that cannot be read", redact(" ".join(output.unread))[:500]))
    given = {m.name for m in output.measurements}
    own = [Measurement("plugin_status", finished.exit_code, Unit.COUNT)]
    own += [m for m in _common(finished) if m.name not in given]  # the plugin's own word counts more
    rest = [m for m in output.measurements if m.name != "plugin_status"]
    return Observation((*own, *rest), evidence, summary if finished.exit_code else "")


def _common(finished: Finished) -> tuple[Measurement, ...]:
    return (
        Measurement("duration", finished.duration, Unit.SECONDS),
        Measurement("lines", finished.stdout.lines, Unit.COUNT),
    )


def _evidence(stdout: Captured, stderr: Captured, redact: Redactor, context: ProbeContext) -> tuple[Evidence, ...]:
    most = context.limits.max_evidence_chars // 2
    outputs = (("Output", stdout), ("Error output", stderr))
    return tuple(
        Evidence(title + (f" ({captured.total} bytes, cut)" if captured.cut else ""), _printable(redact(text))[:most])
        for title, captured in outputs
        if (text := _decode(captured)[: 4 * most + _LONGEST_SECRET].strip())
    )


def _decode(captured: Captured) -> str:
    return captured.data.decode(errors="replace").replace("\r\n", "\n")


def _printable(text: str) -> str:
    """Control characters made visible: output may be anything, and is shown on pages and terminals."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
