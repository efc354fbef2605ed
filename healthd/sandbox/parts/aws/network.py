"""What stands before the application: load balancer, CloudFront, firewall, security groups, certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthd.sandbox.parts.aws.account import Aws

_EVERYBODY = "0.0.0.0/0"


class Network:
    """The network of an account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def balancer(self, name: str, *, targets: int = 2, idle_timeout: int = 60) -> list[str]:
        """Make an application load balancer with one group of healthy targets (named as itself). The targets' ids."""
        subnets = [subnet["SubnetId"] for subnet in (await self._aws.call("ec2.describe_subnets"))["Subnets"]]
        vpc = (await self._aws.call("ec2.describe_vpcs"))["Vpcs"][0]["VpcId"]
        made = await self._aws.call("elbv2.create_load_balancer", Name=name, Subnets=subnets[:2])
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        await self._aws.alter("elbv2", "DescribeLoadBalancers", {"LoadBalancerArn": balancer}, State={"Code": "active"})
        made = await self._aws.call(
            "elbv2.create_target_group", Name=name, Protocol="HTTP", Port=3000, VpcId=vpc, TargetType="ip"
        )
        group = made["TargetGroups"][0]["TargetGroupArn"]
        ids = [f"10.0.0.{number}" for number in range(10, 10 + targets)]
        await self._aws.call(
            "elbv2.register_targets", TargetGroupArn=group, Targets=[{"Id": one, "Port": 3000} for one in ids]
        )
        await self._aws.call(
            "elbv2.create_listener",
            LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )  # fmt: skip
        await self.idle_timeout(balancer, idle_timeout)
        for one in ids:
            await self.target(one, "healthy")
        return ids

    async def idle_timeout(self, balancer: str, seconds: int) -> None:
        """After how long a silent connection is closed; the load balancer by name or ARN."""
        if not balancer.startswith("arn:"):
            found = await self._aws.call("elbv2.describe_load_balancers", Names=[balancer])
            balancer = found["LoadBalancers"][0]["LoadBalancerArn"]
        attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": str(seconds)}]
        await self._aws.call("elbv2.modify_load_balancer_attributes", LoadBalancerArn=balancer, Attributes=attributes)

    async def target(self, target: str, state: str, why: str = "") -> None:
        """How a target is: healthy, unhealthy, draining, ..."""
        health = {"State": state, **({"Description": why} if why else {})}
        await self._aws.alter("elbv2", "DescribeTargetHealth", {"Target.Id": target}, TargetHealth=health)

    async def distribution(self, origin: str) -> str:
        """Make a deployed distribution of CloudFront that serves `origin` (a host name). Its id."""
        behaviour = {
            "TargetOriginId": "origin", "ViewerProtocolPolicy": "redirect-to-https", "MinTTL": 0,
            "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
        }  # fmt: skip
        custom = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
        source = {"Id": "origin", "DomainName": origin, "CustomOriginConfig": custom}
        made = await self._aws.call(
            "cloudfront.create_distribution",
            DistributionConfig={
                "CallerReference": origin, "Comment": origin, "Enabled": True,
                "Origins": {"Quantity": 1, "Items": [source]}, "DefaultCacheBehavior": behaviour,
            },
        )  # fmt: skip
        identifier = str(made["Distribution"]["Id"])
        await self._aws.alter("cloudfront", "GetDistribution", {"Id": identifier}, Status="Deployed")
        return identifier

    async def serve(self, origin: str, *, enabled: bool) -> None:
        """Whether the distribution of that origin serves."""
        await self._aws.alter("cloudfront", "GetDistribution", {"CallerReference": origin}, Enabled=enabled)

    async def security_group(self, name: str, *ports: int) -> str:
        """Make a security group that lets everybody in at those ports. Its id."""
        made = await self._aws.call("ec2.create_security_group", GroupName=name, Description=name)
        for port in ports:
            await self.open_port(made["GroupId"], port)
        return str(made["GroupId"])

    async def open_port(self, group: str, port: int, network: str = _EVERYBODY) -> None:
        """Let a network in at a port."""
        await self._aws.call("ec2.authorize_security_group_ingress", GroupId=group, IpPermissions=_rule(port, network))

    async def close_port(self, group: str, port: int, network: str = _EVERYBODY) -> None:
        """Let it in no longer."""
        await self._aws.call("ec2.revoke_security_group_ingress", GroupId=group, IpPermissions=_rule(port, network))

    async def unattached(self, *, ago: timedelta) -> dict[str, str]:
        """Make a volume and an address that nothing uses. Their ids, as "volume" and "address"."""
        volume = await self._aws.call("ec2.create_volume", AvailabilityZone="us-east-1a", Size=20)
        where = {"VolumeId": volume["VolumeId"]}
        await self._aws.alter("ec2", "DescribeVolumes", where, CreateTime={"ago": ago.total_seconds()})
        address = await self._aws.call("ec2.allocate_address", Domain="vpc")
        return {"volume": volume["VolumeId"], "address": address["AllocationId"]}

    async def release(self, unattached: dict[str, str]) -> None:
        """Delete what `unattached` made."""
        await self._aws.call("ec2.delete_volume", VolumeId=unattached["volume"])
        await self._aws.call("ec2.release_address", AllocationId=unattached["address"])

    async def certificate(self, domain: str, *, left: timedelta = timedelta(days=200)) -> str:
        """Make a certificate that is issued and lasts that much longer. Its ARN."""
        made = await self._aws.call("acm.request_certificate", DomainName=domain, ValidationMethod="DNS")
        state = {"Status": "ISSUED", "InUse": True, "RenewalEligibility": "ELIGIBLE"}
        await self.change_certificate(made["CertificateArn"], NotAfter={"ago": -left.total_seconds()}, **state)
        return str(made["CertificateArn"])

    async def change_certificate(self, arn: str, **fields: Any) -> None:
        """Set fields of a certificate in the list, such as NotAfter={"ago": -86400}: it ends tomorrow."""
        await self._aws.alter("acm", "ListCertificates", {"CertificateArn": arn}, **fields)

    async def ip_set(self, name: str, *networks: str) -> None:
        """Make a set of addresses for the firewall."""
        which = {"Name": name, "Scope": "REGIONAL"}
        await self._aws.call("wafv2.create_ip_set", **which, IPAddressVersion="IPV4", Addresses=networks)

    async def remove_ip_set(self, name: str) -> None:
        """Delete it."""
        listed = (await self._aws.call("wafv2.list_ip_sets", Scope="REGIONAL"))["IPSets"]
        found = next(one for one in listed if one["Name"] == name)
        which = {"Name": name, "Scope": "REGIONAL", "Id": found["Id"], "LockToken": found["LockToken"]}
        await self._aws.call("wafv2.delete_ip_set", **which)


def _rule(port: int, network: str) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": network}]}]
