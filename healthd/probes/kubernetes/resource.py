"""The `kubernetes_resource` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.json_path import parse_json_path
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import Kind, list_everywhere, list_rules
from healthd.probes.kubernetes.params import ClusterParams, Labels, Names, Namespaces, listed_names, matcher
from healthd.probes.kubernetes.selectors import Selector
from healthd.probes.kubernetes.values import age, moment, quantity
from healthd.probes.scale import UnitName, base_unit, scaled

__all__ = ["KubernetesResourceProbe"]

_OBJECTS_MAX = 5000
_SHOWN, _NAMED, _TEXT_MAX = 20, 5, 200
_OWN = ("count", "condition")


class Item(NamedTuple):
    """A whole object, without the record of who wrote which field."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    body: Mapping[str, Any]


def _read(item: dict[str, Any]) -> Item:
    metadata = item["metadata"]
    metadata.pop("managedFields", None)
    return Item(metadata.get("namespace", ""), metadata["name"], metadata.get("labels") or {}, item)


def _path(text: str) -> str:
    parse_json_path(text)
    return text


class ResourceValue(BaseModel):
    """Where a value is. `read`: as it is (a number, a quantity, true or false, else a word), or as a time's age."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, AfterValidator(_path)]
    unit: UnitName | None = None
    read: Literal["value", "age"] = "value"

    def info(self) -> MeasureInfo:
        """How it is documented."""
        unit = base_unit(self.unit) if self.unit is not None else Unit.SECONDS if self.read == "age" else None
        return MeasureInfo(unit, f"{self.read} of {self.path}")

    def of(self, body: Mapping[str, Any], now: datetime) -> float | str | None:
        """The first value found; None for none. Words are cut."""
        found = parse_json_path(self.path).find(body)
        value = found[0].value if found else None
        if self.read == "age":
            return age(_moment(value), now)
        if isinstance(value, bool):
            return float(value)
        number = quantity(value)
        if number is not None:
            return scaled(number, self.unit)[0] if self.unit is not None else number
        return str(value)[:_TEXT_MAX] if isinstance(value, str) else None


def _moment(value: Any) -> datetime | None:
    try:
        return moment(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _short(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class ResourceParams(ClusterParams):
    """Any kind of object, custom ones too: `api_version` and `resource` (its plural) as in its API path.

    `values` names measures and where their values are; `conditions` are types of `status.conditions`.
    Without `namespace` the kind is one that has none, or all namespaces are meant. `ignore` are names and globs.
    """

    api_version: str = Field(pattern=r"^([a-z0-9.-]+/)?v[0-9][a-z0-9]*$")
    resource: str = Field(pattern=r"^[a-z0-9]+$")
    namespace: Namespaces = ("*",)
    selector: Labels = Selector()
    name: Names = ()
    ignore: Names = ()
    values: dict[str, Annotated[ResourceValue, BeforeValidator(_short)]] = Field(default_factory=dict)
    conditions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.resource == "secrets":
            raise ValueError("secrets are not read by this probe: see kubernetes_certificates for those of TLS")
        if own := next((name for name in self.values if name in _OWN), None):
            raise ValueError(f"{own!r} is a measure of the probe itself: choose another name")
        return self

    def kind(self) -> Kind[Item]:
        """The list it asks for."""
        absent = f"the cluster serves no {self.resource} in {self.api_version}"
        return Kind(self.resource, (self.api_version,), _read, absent=absent, most=_OBJECTS_MAX)

    def wants(self, name: str) -> bool:
        """Whether an object of this name is meant."""
        return bool(matcher(self.name)(name)) and not (self.ignore and matcher(self.ignore)(name))

    def series(self, item: Item) -> str:
        """Its name, with the namespace in front where there can be several."""
        alone = len(self.namespace) == 1 and self.namespace != ("*",)
        return item.name if alone or not item.namespace else f"{item.namespace}/{item.name}"


class KubernetesResourceProbe:
    """Reads values out of objects of any kind."""

    Params: ClassVar[type[Params]] = ResourceParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "objects that fit"),
        "condition": MeasureInfo(Unit.COUNT, "1 when the condition is True, else 0; a series name/type for each"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (Threshold("count", critical=parse_condition("= 0"), name="count"),)

    def measures_for(self, params: ResourceParams) -> Mapping[str, MeasureInfo]:
        """Its own, and those named under `values`."""
        own = {k: v for k, v in self.measures.items() if k != "condition" or params.conditions}
        return own | {name: value.info() for name, value in params.values.items()}

    def rules(self, params: ResourceParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return list_rules(params.kind(), listed_names(params.namespace))

    async def run(self, params: ResourceParams, context: ProbeContext) -> Observation:
        """Look at the list of these objects."""
        found = list[Item]()
        for namespace in listed_names(params.namespace):
            listed = await list_everywhere(params.kind(), params, context, namespace)
            found += [item for item in listed.select(params.selector) if params.wants(item.name)]
        measurements = [Measurement("count", float(len(found)), Unit.COUNT)]
        if not found:
            return Observation(tuple(measurements), (), f"no {params.resource} fit")
        wrong: list[str] = []
        for item in found:
            measurements += _measure(item, params, context.now)
            wrong += _conditions(item, params)
        lines = wrong[:_SHOWN] + ([f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else [])
        text = Redactor()("\n".join(lines))[: context.limits.max_evidence_chars]
        evidence = (Evidence("conditions", text),) if lines else ()
        return Observation(tuple(measurements), evidence, _note(measurements, params, found))


def _measure(item: Item, params: ResourceParams, now: datetime) -> list[Measurement]:
    series = params.series(item)
    found: list[Measurement] = []
    for name, value in params.values.items():
        if (read := value.of(item.body, now)) is not None:
            unit = Unit.TEXT if isinstance(read, str) else value.info().unit
            found.append(Measurement(name, read, unit, series))
    states = _states(item)
    for kind in params.conditions:
        holds = states.get(kind, {}).get("status") == "True"
        found.append(Measurement("condition", float(holds), Unit.COUNT, f"{series}/{kind}"))
    return found


def _states(item: Item) -> dict[str, Mapping[str, Any]]:
    status = item.body.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return {c["type"]: c for c in conditions or () if isinstance(c, dict) and "type" in c}


def _conditions(item: Item, params: ResourceParams) -> list[str]:
    """Those asked for that do not hold, with the reason."""
    states = _states(item)
    found = []
    for kind in params.conditions:
        state = states.get(kind)
        if state is None:
            found.append(f"{params.series(item)}: {kind} is not there")
        elif state.get("status") != "True":
            why = ": ".join(str(state[key])[:_TEXT_MAX] for key in ("reason", "message") if state.get(key))
            found.append(f"{params.series(item)}: {kind} is {state.get('status')}" + (f" ({why})" if why else ""))
    return found


def _note(measurements: Sequence[Measurement], params: ResourceParams, found: Sequence[Item]) -> str:
    """Values nobody has: a misspelt path. Which objects there are, where they are only counted."""
    if not params.values and not params.conditions:
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return ", ".join(params.series(item) for item in found[:_NAMED]) + more
    seen = {measurement.name for measurement in measurements}
    absent = [value.path for name, value in params.values.items() if name not in seen]
    return f"none of {len(found)} {params.resource} has {', '.join(absent[:_NAMED])}" if absent else ""
