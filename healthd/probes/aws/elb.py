"""`elb`: load balancers (application, network, gateway): healthy targets, state, attributes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import MeasureInfo, Observation, OneOrMany, ProbeError

BALANCERS = Operation(
    "elbv2",
    "describe_load_balancers",
    "elasticloadbalancing:DescribeLoadBalancers",
    "LoadBalancers",
    absent=("LoadBalancerNotFound",),
)
ATTRIBUTES = Operation(
    "elbv2", "describe_load_balancer_attributes", "elasticloadbalancing:DescribeLoadBalancerAttributes", "Attributes"
)
GROUPS = Operation(
    "elbv2",
    "describe_target_groups",
    "elasticloadbalancing:DescribeTargetGroups",
    "TargetGroups",
    absent=("TargetGroupNotFound",),
)
HEALTH = Operation(
    "elbv2", "describe_target_health", "elasticloadbalancing:DescribeTargetHealth", "TargetHealthDescriptions"
)
_IDLE = "idle_timeout.timeout_seconds"
_SHOWN = 20


class ElbParams(AwsParams):
    """A `load_balancer` with all its groups, or `target_groups`; both by name or ARN.

    `attributes` names further attributes: {measure: attribute}.
    """

    load_balancer: str | None = None
    target_groups: OneOrMany = ()
    attributes: Mapping[Annotated[str, Field(pattern=r"^[a-z_]\w*$")], str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> ElbParams:
        if not self.load_balancer and not self.target_groups:
            raise ValueError("name a load_balancer, or target_groups")
        if self.attributes and not self.load_balancer:
            raise ValueError("attributes are those of a load_balancer: name it")
        if taken := self.attributes.keys() & ElbProbe.measures.keys():
            raise ValueError(f"{min(taken)!r} is a measure of the probe itself: choose another name")
        return self


class ElbProbe(AwsProbe):
    """Asks the load balancer's own view of its targets."""

    Params: ClassVar[type[base.Params]] = ElbParams
    operations: ClassVar[tuple[Operation, ...]] = (BALANCERS, ATTRIBUTES, GROUPS, HEALTH)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("healthy", critical=parse_condition("= 0"), missing=Level.OK, name="healthy"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "targets": count_of("registered targets, one series for each group"),
        "healthy": count_of("of them healthy"),
        "unhealthy": count_of("of them unhealthy or unavailable"),
        "changing": count_of("of them being registered or drained"),
        "unused": count_of("of them in a group or a zone that no load balancer uses"),
        "healthy_ratio": MeasureInfo(Unit.RATIO, "healthy ones of those that should serve; absent without any"),
        "state": text_of("of the load balancer: active, active_impaired, provisioning, failed"),
        "idle_timeout": MeasureInfo(Unit.SECONDS, "after which a silent connection is closed; not of all types"),
        "group_count": count_of("target groups looked at"),
    }

    def measures_for(self, params: ElbParams) -> Mapping[str, MeasureInfo]:
        """And the attributes that the check names."""
        named = {name: MeasureInfo(None, f"the attribute {key}") for name, key in params.attributes.items()}
        off = () if params.load_balancer else ("state", "idle_timeout")
        return {name: info for name, info in self.measures.items() if name not in off} | named

    def needs(self, params: ElbParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return self.operations if params.load_balancer else (GROUPS, HEALTH)

    async def look(self, params: ElbParams, aws: Asker) -> Observation:
        """The load balancer first, then the health of all its groups at once."""
        balancer = await _balancer(params, aws) if params.load_balancer else None
        groups = await _groups(params, balancer, aws)
        health = await asyncio.gather(*(aws.items(HEALTH, TargetGroupArn=g["TargetGroupArn"]) for g in groups))
        measurements = list(self.measured({"group_count": len(groups)}))
        for group, targets in zip(groups, health, strict=True):
            series = group["TargetGroupName"] if len(groups) > 1 else ""
            measurements += [
                Measurement(m.name, m.value, m.unit, series) for m in self.measured(_measure_targets(targets))
            ]
        if balancer is not None:
            attributes = await aws.items(ATTRIBUTES, LoadBalancerArn=balancer["LoadBalancerArn"])
            measurements += self._measure_balancer(params, balancer, {a["Key"]: a["Value"] for a in attributes})
        bad = [line for g, targets in zip(groups, health, strict=True) for line in _bad(g, targets)]
        evidence = (Evidence("Targets not healthy", "\n".join(bad[:_SHOWN])),) if bad else ()
        return Observation(tuple(measurements), evidence, bad[0] if bad else "")

    def _measure_balancer(
        self, params: ElbParams, balancer: Mapping[str, Any], attributes: Mapping[str, str]
    ) -> Sequence[Measurement]:
        idle = float(attributes[_IDLE]) if _IDLE in attributes else None
        state = balancer.get("State", {}).get("Code", "unknown")
        named = [
            Measurement(name, _value(attributes[key])) for name, key in params.attributes.items() if key in attributes
        ]
        return [*self.measured({"state": state, "idle_timeout": idle}), *named]


def _value(written: str) -> float | str:
    """Attributes are words: true and false become 1 and 0, numbers become numbers."""
    if written in ("true", "false"):
        return float(written == "true")
    try:
        return float(written)
    except ValueError:
        return written


async def _balancer(params: ElbParams, aws: Asker) -> dict[str, Any]:
    assert params.load_balancer is not None
    by = "LoadBalancerArns" if params.load_balancer.startswith("arn:") else "Names"
    found = await aws.items(BALANCERS, **{by: [params.load_balancer]})
    if not found:
        raise ProbeError(f"there is no load balancer {params.load_balancer!r}", "missing")
    balancer: dict[str, Any] = found[0]
    return balancer


async def _groups(params: ElbParams, balancer: Mapping[str, Any] | None, aws: Asker) -> list[dict[str, Any]]:
    if not params.target_groups:
        assert balancer is not None
        return await aws.items(GROUPS, LoadBalancerArn=balancer["LoadBalancerArn"])
    found = []
    for name in params.target_groups:
        by = "TargetGroupArns" if name.startswith("arn:") else "Names"
        group = await aws.items(GROUPS, **{by: [name]})
        if not group:
            raise ProbeError(f"there is no target group {name!r}", "missing")
        found += group
    return found


def _measure_targets(targets: list[Mapping[str, Any]]) -> dict[str, float | str | None]:
    states = Counter(target.get("TargetHealth", {}).get("State", "unhealthy") for target in targets)
    # "unhealthy.draining" and "unavailable" too: they take no requests
    changing = states["initial"] + states["draining"]
    serving = len(targets) - changing - states["unused"]
    return {
        "targets": len(targets),
        "healthy": states["healthy"],
        "unhealthy": serving - states["healthy"],
        "changing": changing,
        "unused": states["unused"],
        "healthy_ratio": states["healthy"] / serving if serving else None,
    }


def _bad(group: Mapping[str, Any], targets: list[Mapping[str, Any]]) -> list[str]:
    lines = []
    for target in targets:
        health, who = target.get("TargetHealth", {}), target.get("Target", {})
        if health.get("State") != "healthy":
            why = health.get("Description") or health.get("Reason") or ""
            where = f"{who.get('Id')}:{who.get('Port')}" if who.get("Port") else str(who.get("Id"))
            lines.append(f"{group['TargetGroupName']} {where}: {health.get('State')} {why}".rstrip())
    return lines
