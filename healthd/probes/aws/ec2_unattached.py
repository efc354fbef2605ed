"""`ec2_unattached`: volumes and addresses that are paid for and belong to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import Duration, MeasureInfo, Observation

VOLUMES = Operation("ec2", "describe_volumes", "ec2:DescribeVolumes", "Volumes")
ADDRESSES = Operation("ec2", "describe_addresses", "ec2:DescribeAddresses", "Addresses")
_GIB = 2**30
_SHOWN = 20


class UnattachedParams(AwsParams):
    """Volumes younger than `older_than` are left out; `ignore` names ids or Name tags that are known."""

    older_than: Duration = timedelta(0)
    ignore: Names = ()

    def minds(self, thing: Mapping[str, Any], identifier: str) -> bool:
        """Whether neither its id nor its Name tag is ignored."""
        return not self.ignore or not (fits(identifier, self.ignore) or fits(_tag(thing), self.ignore))


class UnattachedProbe(AwsProbe):
    """Asks for volumes in state available, and for addresses without an association."""

    Params: ClassVar[type[base.Params]] = UnattachedParams
    operations: ClassVar[tuple[Operation, ...]] = (VOLUMES, ADDRESSES)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "volumes": count_of("volumes attached to nothing"),
        "volumes_size": MeasureInfo(Unit.BYTES, "of them together"),
        "oldest_volume_age": MeasureInfo(Unit.SECONDS, "since the oldest of them was made; absent without one"),
        "addresses": count_of("elastic addresses associated with nothing"),
    }

    async def look(self, params: UnattachedParams, aws: Asker) -> Observation:
        """Both lists at the same time."""
        available = [{"Name": "status", "Values": ["available"]}]
        listed, addresses = await asyncio.gather(aws.items(VOLUMES, Filters=available), aws.items(ADDRESSES))
        least = params.older_than.total_seconds()
        volumes = [
            volume
            for volume in listed
            if params.minds(volume, volume["VolumeId"]) and (age(volume["CreateTime"], aws.now) or 0.0) >= least
        ]
        loose = [a for a in addresses if not a.get("AssociationId") and not a.get("InstanceId")]
        loose = [a for a in loose if params.minds(a, a.get("AllocationId") or a.get("PublicIp", ""))]
        found: dict[str, float | str | None] = {
            "volumes": len(volumes),
            "volumes_size": sum(volume["Size"] for volume in volumes) * _GIB,
            "oldest_volume_age": max((age(v["CreateTime"], aws.now) or 0.0 for v in volumes), default=None),
            "addresses": len(loose),
        }
        lines = [
            f"{v['VolumeId']} {_tag(v)}: {v['Size']} GiB, {format_duration(age(v['CreateTime'], aws.now) or 0.0)} old"
            for v in volumes
        ]
        lines += [f"{a.get('PublicIp')} {_tag(a)}".rstrip() for a in loose]
        evidence = (Evidence("Attached to nothing", "\n".join(lines[:_SHOWN])),) if lines else ()
        return Observation(self.measured(found), evidence)


def _tag(thing: Mapping[str, Any]) -> str:
    return next((tag["Value"] for tag in thing.get("Tags", ()) if tag["Key"] == "Name"), "")
