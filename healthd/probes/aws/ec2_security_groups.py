"""`ec2_security_groups`: what is open to the world and should not be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Annotated, Any, ClassVar

from pydantic import Field

from healthd.model.outcomes import Evidence
from healthd.probes import base
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation

GROUPS = Operation("ec2", "describe_security_groups", "ec2:DescribeSecurityGroups", "SecurityGroups")
_EVERY_PORT = (0, 65535)
_SHOWN = 30

Port = Annotated[int, Field(ge=0, le=65535)]


class SecurityGroupsParams(AwsParams):
    """Which groups, by name or id; what may be open; how large a network is the world."""

    groups: Names = ()
    ignore: Names = ()
    vpc: str | None = None
    allowed_ports: tuple[Port, ...] = (80, 443)
    allowed_icmp: bool = True
    world: int = Field(8, ge=0, le=32, description="an IPv4 network with so many fixed bits or fewer is the world")


class SecurityGroupsProbe(AwsProbe):
    """Judges every rule by itself: what two rules open together is not looked at."""

    Params: ClassVar[type[base.Params]] = SecurityGroupsParams
    operations: ClassVar[tuple[Operation, ...]] = (GROUPS,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "groups": count_of("security groups looked at"),
        "open_groups": count_of("of them with a port open to the world that is not allowed"),
        "open_rules": count_of("rules that open such a port"),
        "open_everything": count_of("rules that open every port to the world"),
    }

    async def look(self, params: SecurityGroupsParams, aws: Asker) -> Observation:
        """List all; which of them matter is decided here, so that checks can share the list."""
        groups = [group for group in await aws.items(GROUPS) if _minded(group, params)]
        opened = {_name(group): list(_open(group, params)) for group in groups}
        lines = [f"{name}: {rule}" for name, rules in opened.items() for rule, _ in rules]
        found: dict[str, float | str | None] = {
            "groups": len(groups),
            "open_groups": sum(bool(rules) for rules in opened.values()),
            "open_rules": len(lines),
            "open_everything": sum(everything for rules in opened.values() for _, everything in rules),
        }
        evidence = (Evidence("Open to the world", "\n".join(lines[:_SHOWN])),) if lines else ()
        return Observation(self.measured(found), evidence, lines[0] if lines else "")


def _name(group: Mapping[str, Any]) -> str:
    return f"{group['GroupId']} ({group.get('GroupName', '')})"


def _minded(group: Mapping[str, Any], params: SecurityGroupsParams) -> bool:
    names = (group["GroupId"], group.get("GroupName", ""))
    if params.vpc is not None and group.get("VpcId") != params.vpc:
        return False
    if params.ignore and any(fits(name, params.ignore) for name in names):
        return False
    return any(fits(name, params.groups) for name in names)


def _open(group: Mapping[str, Any], params: SecurityGroupsParams) -> Iterator[tuple[str, bool]]:
    """Each rule that should not be, in words, and whether it opens everything."""
    for rule in group.get("IpPermissions", ()):
        sources = [r["CidrIp"] for r in rule.get("IpRanges", ()) if _is_world(r["CidrIp"], params.world)]
        # all public IPv6 addresses lie in one /3
        sources += [r["CidrIpv6"] for r in rule.get("Ipv6Ranges", ()) if _is_world(r["CidrIpv6"], 3)]
        ports = _ports(rule)
        if sources and not _allowed(rule, ports, params):
            protocol = "everything" if rule["IpProtocol"] == "-1" else rule["IpProtocol"]
            which = "" if ports == _EVERY_PORT else f" {ports[0]}" + (f"-{ports[1]}" if ports[1] != ports[0] else "")
            yield f"{protocol}{which} from {', '.join(sources)}", ports == _EVERY_PORT


def _is_world(network: str, bits: int) -> bool:
    return ip_network(network, strict=False).prefixlen <= bits


def _ports(rule: Mapping[str, Any]) -> tuple[int, int]:
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return _EVERY_PORT if first in (-1, None) or rule["IpProtocol"] == "-1" else (first, last)


def _allowed(rule: Mapping[str, Any], ports: tuple[int, int], params: SecurityGroupsParams) -> bool:
    if rule["IpProtocol"] in ("icmp", "icmpv6"):
        return params.allowed_icmp
    if rule["IpProtocol"] not in ("tcp", "udp", "-1", "6", "17"):
        return False
    return ports != _EVERY_PORT and set(range(ports[0], ports[1] + 1)) <= set(params.allowed_ports)
