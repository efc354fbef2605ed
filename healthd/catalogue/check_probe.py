"""A check's probe: its type, its parameters over the system's defaults, and what it measures with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from healthd.catalogue.context import Context
from healthd.catalogue.fingerprint import definition_digest
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node, Scalar, describe
from healthd.catalogue.problems import did_you_mean
from healthd.catalogue.rows import Measures


@dataclass(frozen=True, slots=True)
class CheckProbe:
    """A known type of probe. `params` is None when they are wrong: its rows can still be looked at."""

    type: str
    kind: ProbeKind
    params: BaseModel | None
    measures: Measures
    definition: str  # of all of it as written


def read_probe(node: MappingNode, defaults: MappingNode, subject: str, context: Context) -> CheckProbe | None:
    """The probe of the check written in `node`; None, with the reason noted, when its type is not known.

    `defaults` is the system's section of that name. A check without any probe is left to the check's own shape.
    """
    probe = node.get("probe")
    if probe is None:
        return None
    if not isinstance(probe, MappingNode):
        message = f"{subject}: probe: expected a mapping, got {describe(probe)}"
        context.problem(node, message, "write a type and parameters, such as {type: http, url: ...}", ("probe",))
        return None
    type_ = _type(probe, subject, context)
    if type_ is None:
        return None
    kind = context.probes[type_]
    merged = _merged(probe, type_, defaults)
    params = context.read(kind.Params, merged, subject)
    return CheckProbe(
        type_, kind, params, _measures(kind, params, probe, subject, context), definition_digest(type_, merged)
    )


def _type(probe: MappingNode, subject: str, context: Context) -> str | None:
    known = f"known: {', '.join(sorted(context.probes))}"
    written = probe.get("type")
    if not isinstance(written, Scalar):
        context.problem(probe, f"{subject}: probe: 'type' is missing", known)
        return None
    type_ = str(context.values.build(written, subject))
    if type_ in context.probes:
        return type_
    if not context.values.is_unresolved(written):
        near = did_you_mean(written.text, context.probes, "")
        hint = f"{near} {known}" if near.endswith("?") else known
        context.problem(probe, f"{subject}: unknown probe type {written.text!r}", hint, ("type",))
    return None


def _merged(probe: MappingNode, type_: str, defaults: MappingNode) -> MappingNode:
    """The parameters as written, and the system's for what is not."""
    own = [pair for pair in probe.pairs if pair[0].text != "type"]
    written = {key.text for key, _ in own}
    inherited = [pair for pair in _default_params(type_, defaults) if pair[0].text not in written]
    return MappingNode(probe.file, probe.line, [*own, *inherited])


def _default_params(type_: str, defaults: MappingNode) -> list[tuple[Scalar, Node]]:
    probes = defaults.get("probe")
    params = probes.get(type_) if isinstance(probes, MappingNode) else None
    return params.pairs if isinstance(params, MappingNode) else []


def _measures(kind: ProbeKind, params: BaseModel | None, node: Node, subject: str, context: Context) -> Measures:
    """With wrong parameters, what the probe measures in any case."""
    found: Mapping[str, Any] | None = kind.measures
    if params is not None:
        try:
            found = kind.measures_for(params)
        except Exception as error:  # noqa: BLE001 - a probe's own code; a catalogue never ends the process
            context.problem(node, f"{subject}: its measures cannot be told ({type(error).__name__})")
    units = {name: info.unit for name, info in (kind.measures if found is None else found).items()}
    usual = frozenset(t.measure for t in kind.defaults)
    return Measures(units, found is None, usual, certain=params is not None)
