"""`waf`: whether a web ACL has its rules and protects something, whether IP sets are there and filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, if_told, text_of
from healthd.probes.base import MeasureInfo, Observation, OneOrMany, ProbeError

_PLACE = ("NextMarker", "NextMarker")
LIST_ACLS = Operation("wafv2", "list_web_acls", "wafv2:ListWebACLs", "WebACLs", token=_PLACE)
GET_ACL = Operation("wafv2", "get_web_acl", "wafv2:GetWebACL")
RESOURCES = Operation("wafv2", "list_resources_for_web_acl", "wafv2:ListResourcesForWebACL", "ResourceArns")
LIST_SETS = Operation("wafv2", "list_ip_sets", "wafv2:ListIPSets", "IPSets", token=_PLACE)
GET_SET = Operation("wafv2", "get_ip_set", "wafv2:GetIPSet")


class WafParams(AwsParams):
    """A web ACL by name, IP sets by name. Those of CloudFront are in us-east-1, whatever `region` says."""

    scope: Literal["REGIONAL", "CLOUDFRONT"] = "REGIONAL"
    web_acl: str | None = None
    ip_sets: OneOrMany = ()

    @model_validator(mode="after")
    def _something(self) -> WafParams:
        if self.web_acl is None and not self.ip_sets:
            raise ValueError("name a web_acl, or ip_sets")
        return self

    @property
    def where(self) -> str | None:
        """The region to ask, if the scope says so."""
        return "us-east-1" if self.scope == "CLOUDFRONT" else None


class WafProbe(AwsProbe):
    """Reads the configuration; what was blocked is a metric of AWS/WAFV2."""

    Params: ClassVar[type[base.Params]] = WafParams
    operations: ClassVar[tuple[Operation, ...]] = (LIST_ACLS, GET_ACL, RESOURCES, LIST_SETS, GET_SET)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_count", critical=parse_condition("> 0"), missing=Level.OK, name="missing_count"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "rules": count_of("rules of the web ACL"),
        "blocking_rules": count_of("of them that block, and rule groups that are in force and not only counted"),
        "capacity": count_of("web ACL capacity units in use"),
        "default_action": text_of("what happens to requests that no rule catches: allow or block"),
        "resources": count_of(
            "what the web ACL protects; absent for CloudFront, whose distributions name it themselves"
        ),
        "addresses": count_of("networks in an IP set, one series for each set"),
        "missing_count": count_of("named things that are not there"),
    }

    def measures_for(self, params: WafParams) -> Mapping[str, MeasureInfo]:
        """Those of what is named."""
        of_acl = ("rules", "blocking_rules", "capacity", "default_action", "resources")
        off = {*(() if params.web_acl else of_acl), *(() if params.ip_sets else ("addresses",))}
        return {name: info for name, info in self.measures.items() if name not in off}

    def needs(self, params: WafParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        resources = (RESOURCES,) if params.scope == "REGIONAL" else ()
        acls = (LIST_ACLS, GET_ACL, *resources) if params.web_acl is not None else ()
        return (*acls, *((LIST_SETS, GET_SET) if params.ip_sets else ()))

    async def look(self, params: WafParams, aws: Asker) -> Observation:
        """Find them by name, then read them."""
        missing: list[str] = []
        note = ""
        measurements: list[Measurement] = []
        evidence: tuple[Evidence, ...] = ()
        if params.web_acl is not None:
            found, lines, note = await self._acl(params, aws)
            measurements += self.measured(found)
            missing += [] if found else [f"web ACL {params.web_acl}"]
            evidence = (Evidence("Rules", "\n".join(lines)[:1000]),) if lines else ()
        if params.ip_sets:
            known = {s["Name"]: s for s in await self._listed(LIST_SETS, params, aws)}
            for name in params.ip_sets:
                if name not in known:
                    missing.append(f"IP set {name}")
                    continue
                which = {"Name": name, "Scope": params.scope, "Id": known[name]["Id"]}
                answer = await aws.pages(GET_SET, region=params.where, **which)
                addresses = len(answer[0]["IPSet"].get("Addresses", ()))
                measurements.append(Measurement("addresses", float(addresses), Unit.COUNT, name))
        measurements += self.measured({"missing_count": len(missing)})
        notes = [*(f"no {name}" for name in missing), *([note] if note else ())]
        return Observation(tuple(measurements), evidence, ", ".join(notes))

    async def _listed(self, operation: Operation, params: WafParams, aws: Asker) -> list[dict[str, Any]]:
        pages = await aws.pages(operation, region=params.where, Scope=params.scope, Limit=100)
        return [item for page in pages for item in page.get(operation.items, ())]

    async def _acl(self, params: WafParams, aws: Asker) -> tuple[dict[str, float | str | None], list[str], str]:
        """What is measured of it, a line for each rule, and a note."""
        known = {acl["Name"]: acl for acl in await self._listed(LIST_ACLS, params, aws)}
        if params.web_acl not in known:
            return {}, [], ""
        listed = known[params.web_acl]
        which = {"Name": params.web_acl, "Scope": params.scope, "Id": listed["Id"]}
        answer = await aws.pages(GET_ACL, region=params.where, **which)
        if not answer:
            raise ProbeError(f"the web ACL {params.web_acl!r} vanished while it was looked at", "missing")
        acl = answer[0]["WebACL"]
        resources, note = await if_told("resources", self._resources(params, listed["ARN"], aws))
        rules = acl.get("Rules", ())
        found: dict[str, float | str | None] = {
            "rules": len(rules),
            "blocking_rules": sum(_blocks(rule) for rule in rules),
            "capacity": acl.get("Capacity"),
            "default_action": "block" if "Block" in acl.get("DefaultAction", {}) else "allow",
            "resources": resources,
        }
        return found, [f"{rule.get('Priority')} {rule['Name']}: {_action(rule)}" for rule in rules], note

    async def _resources(self, params: WafParams, arn: str, aws: Asker) -> float | None:
        if params.scope == "CLOUDFRONT":
            return None
        total = 0
        for kind in ("APPLICATION_LOAD_BALANCER", "API_GATEWAY"):
            total += len(await aws.items(RESOURCES, WebACLArn=arn, ResourceType=kind))
        return total


def _action(rule: Mapping[str, Any]) -> str:
    if "Action" in rule:
        return ", ".join(name.lower() for name in rule["Action"])
    override = rule.get("OverrideAction", {})
    return "counted only" if "Count" in override else "in force"


def _blocks(rule: Mapping[str, Any]) -> bool:
    return _action(rule) in ("block", "in force")
