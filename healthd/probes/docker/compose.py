"""`docker_compose`: whether the services of a compose project are up, as `docker compose ps` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import (
    Evidence,
    MeasureInfo,
    Measurement,
    Observation,
    OneOrMany,
    ProbeContext,
)
from healthd.probes.docker.engine import engine_of
from healthd.probes.docker.facts import Container, Details
from healthd.probes.docker.params import EngineParams

__all__ = ["DockerComposeProbe"]

_NAMED = 4  # services in the note
_OUTPUT_SHOWN = 200


def _replicas(written: Any) -> Any:
    if isinstance(written, str):
        return {written: 1}
    return {str(name): 1 for name in written} if isinstance(written, list | tuple) else written


Services = Annotated[
    dict[str, Annotated[int, Field(ge=1)]],
    BeforeValidator(_replicas, json_schema_input_type=str | list[str] | dict[str, int]),
]


class ComposeParams(EngineParams):
    """`services` are those expected, `{name: replicas}` where there are several; without it those that can be seen."""

    project: str
    services: Services = Field(default_factory=dict)
    may_end: OneOrMany = ()  # services that do their work and end: a migration

    def wanted(self, seen: Mapping[str, _Service]) -> dict[str, int]:
        """The replicas wanted of each service."""
        if self.services:
            # one that may end is asked of its end where it has one; its container may have been removed since
            ended = dict.fromkeys((name for name in self.may_end if name in seen), 1)
            return ended | self.services
        needed = (name for service in seen.values() for c in service.containers for name in c.depends_on)
        return dict.fromkeys([*seen, *needed], 1)


@dataclass(slots=True)
class _Service:
    """The containers of one service."""

    name: str
    containers: list[Container] = field(default_factory=list)
    details: list[Details] = field(default_factory=list)

    def count(self, *states: str) -> int:
        return sum(container.state in states for container in self.containers)

    def health(self, word: str) -> int:
        return sum(d.health == word for d in self.details if d.container.state == "running")

    def ended_well(self) -> bool:
        return bool(self.details) and all(
            d.container.state == "running" or (d.container.state == "exited" and d.exit_code == 0) for d in self.details
        )

    @property
    def restarts(self) -> int:
        return sum(d.restarts for d in self.details)


@dataclass(frozen=True, slots=True)
class _State:
    """A service against what is wanted of it."""

    service: _Service
    replicas: int
    may_end: bool

    @property
    def missing(self) -> bool:
        return not self.service.containers

    @property
    def running(self) -> bool:
        if self.may_end and self.service.ended_well():
            return True
        return self.service.count("running") >= self.replicas

    @property
    def unhealthy(self) -> bool:
        return self.service.health("unhealthy") > 0

    @property
    def healthy(self) -> bool:
        return self.running and not self.unhealthy and not self.service.health("starting")

    @property
    def exited(self) -> bool:
        return self.service.count("exited", "dead") > 0 and not (self.may_end and self.service.ended_well())

    def word(self) -> str:
        """Its state in a word or two, for people."""
        service = self.service
        if self.missing:
            return "missing"
        for state in ("restarting", "paused"):
            if service.count(state):
                return state
        if self.unhealthy:
            return "unhealthy"
        if not self.running and self.exited:
            code = next(d.exit_code for d in service.details if d.container.state in ("exited", "dead"))
            return f"exited ({code})"
        if not self.running:
            return f"{service.count('running')} of {self.replicas} running"
        return "starting" if service.health("starting") else "up"


def _count(what: str) -> MeasureInfo:
    return MeasureInfo(Unit.COUNT, what)


class DockerComposeProbe:
    """Lists the engine's containers, and inspects those of the project."""

    Params: ClassVar[type[base.Params]] = ComposeParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "containers": _count("of the project, running or not; those of `docker compose run` left out"),
        "expected": _count("services"),
        "running": _count("expected services with as many running containers as wanted"),
        "healthy": _count("expected services that run and whose health checks, where there are any, pass"),
        "healthy_ratio": MeasureInfo(Unit.RATIO, "healthy / expected; absent when nothing is expected"),
        "down": _count("expected services that do not run"),
        "missing": _count("expected services without any container"),
        "exited": _count("expected services with a container that ended"),
        "unhealthy": _count("services with a container whose health check fails"),
        "starting": _count("services with a container whose first health check has not passed yet"),
        "restarting": _count("services with a container between two starts"),
        "paused": _count("services with a paused container"),
        "restarts": _count("automatic restarts of all containers since they were made"),
        "service_up": _count("1 when it is healthy as above, else 0; one series for each expected service"),
        "service_running": _count("its running containers; one series for each expected service"),
        "service_restarts": _count("its automatic restarts; one series for each service with containers"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("containers", critical=parse_condition("= 0"), name="containers"),
        Threshold("down", critical=parse_condition("> 0"), name="down"),
        Threshold("unhealthy", critical=parse_condition("> 0"), name="unhealthy"),
    )

    def measures_for(self, params: ComposeParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: ComposeParams, context: ProbeContext) -> Observation:
        """Look once."""
        engine = await engine_of(params, context.resources)
        everything = await engine.containers(context)
        containers = [c for c in everything if c.project == params.project and not c.one_off]
        details = await engine.inspect_all(containers, context)
        services: dict[str, _Service] = {}
        for found in details:
            service = services.setdefault(found.container.service, _Service(found.container.service))
            service.containers.append(found.container)
            service.details.append(found)
        states = [
            _State(services.get(name) or _Service(name), replicas, name in params.may_end)
            for name, replicas in sorted(params.wanted(services).items())
        ]
        note = _note(params, states, everything) if not details else _note_of(states)
        return Observation(_measurements(states, details), _evidence(states, services, context), note)


def _measurements(states: Sequence[_State], details: Sequence[Details]) -> tuple[Measurement, ...]:
    healthy = sum(state.healthy for state in states)
    counts = {
        "containers": len(details),
        "expected": len(states),
        "running": sum(state.running for state in states),
        "healthy": healthy,
        "down": sum(not state.running for state in states),
        "missing": sum(state.missing for state in states),
        "exited": sum(state.exited for state in states),
        "unhealthy": sum(state.unhealthy for state in states),
        "starting": sum(state.service.health("starting") > 0 for state in states),
        "restarting": sum(state.service.count("restarting") > 0 for state in states),
        "paused": sum(state.service.count("paused") > 0 for state in states),
        "restarts": sum(found.restarts for found in details),
    }
    found = [Measurement(name, float(value), Unit.COUNT) for name, value in counts.items()]
    if states:
        found.append(Measurement("healthy_ratio", healthy / len(states), Unit.RATIO))
    for state in states:
        name, service = state.service.name, state.service
        found.append(Measurement("service_up", float(state.healthy), Unit.COUNT, name))
        found.append(Measurement("service_running", float(service.count("running")), Unit.COUNT, name))
        if service.containers:
            found.append(Measurement("service_restarts", float(service.restarts), Unit.COUNT, name))
    return tuple(found)


def _note(params: ComposeParams, states: Sequence[_State], everything: Sequence[Container]) -> str:
    """For a project without containers: a wrong name looks just the same."""
    projects = sorted({c.project for c in everything if c.project})
    others = f"; the projects here are {', '.join(projects[:10])}" if projects else "; no project is here at all"
    return f"no containers of project {params.project}{others}"


def _note_of(states: Sequence[_State]) -> str:
    bad = [f"{state.service.name} {state.word()}" for state in states if not state.healthy]
    return ", ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")


def _evidence(
    states: Sequence[_State], services: Mapping[str, _Service], context: ProbeContext
) -> tuple[Evidence, ...]:
    redact, lines = Redactor(), []
    expected = {state.service.name for state in states}
    for state in sorted(states, key=lambda s: s.healthy):
        lines += [_line(found) for found in state.service.details] or [f"{state.service.name}: no container"]
    lines += [f"{name}: not expected" for name in services if name not in expected]
    text = redact("\n".join(lines))[: context.limits.max_evidence_chars]
    return (Evidence("services", text),) if text else ()


def _line(found: Details) -> str:
    container = found.container
    line = f"{container.name}: {container.status or container.state}"
    if found.restarts:
        line += f", {found.restarts} restarts"
    if found.oom_killed:
        line += ", killed for its memory"
    if found.error:
        line += f", {found.error}"
    if found.health == "unhealthy" and found.health_output.strip():
        line += f", health check says: {' '.join(found.health_output.split())[:_OUTPUT_SHOWN]}"
    return line
