"""`docker_disk`: what images, containers, volumes and the build cache take, and what could be given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_duration, format_value
from healthd.probes import base
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.docker.engine import engine_of
from healthd.probes.docker.facts import moment
from healthd.probes.docker.params import EngineParams

__all__ = ["DockerDiskProbe"]

_SHOWN = 10


class DiskParams(EngineParams):
    """`older_than`: how old an image or a cache entry must be to count as old (what `prune --filter until=` takes)."""

    older_than: Duration = timedelta(days=7)


def _bytes(what: str) -> MeasureInfo:
    return MeasureInfo(Unit.BYTES, what)


def _count(what: str) -> MeasureInfo:
    return MeasureInfo(Unit.COUNT, what)


class DockerDiskProbe:
    """Asks the engine for what `docker system df` shows."""

    Params: ClassVar[type[base.Params]] = DiskParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "total_bytes": _bytes("images, containers, volumes and build cache together"),
        "reclaimable_bytes": _bytes("of it what pruning everything unused would give back, at least"),
        "images": _count("images"),
        "images_bytes": _bytes("all layers, each counted once"),
        "unused_images": _count("images that no container uses, running or not"),
        "unused_images_bytes": _bytes("layers that only a single unused image has"),
        "old_unused_images": _count("of the unused ones those made longer than `older_than` ago"),
        "old_unused_images_bytes": _bytes("layers that only a single one of these has"),
        "dangling_images": _count("unused images without a name, left over by a build or a pull"),
        "old_dangling_images": _count("of these those made longer than `older_than` ago"),
        "containers_bytes": _bytes("what containers have written into their own layer"),
        "stopped_containers": _count("containers that do not run"),
        "stopped_containers_bytes": _bytes("what these have written"),
        "volumes": _count("volumes"),
        "volumes_bytes": _bytes("all volumes whose driver tells their size"),
        "unused_volumes": _count("volumes that no container uses"),
        "unused_volumes_bytes": _bytes("these, where their driver tells the size"),
        "build_cache_bytes": _bytes("build cache, without what images share"),
        "unused_build_cache_bytes": _bytes("of it what no build uses at the moment"),
        "old_build_cache_bytes": _bytes("of it what was not used for longer than `older_than`"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: DiskParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: DiskParams, context: ProbeContext) -> Observation:
        """Look once: the engine adds up its volumes for it, which can take long."""
        engine = await engine_of(params, context.resources)
        answer = await engine.json("/system/df", context)
        try:
            usage = _Usage.read(answer, context.now - params.older_than)
            numbers, evidence = usage.numbers(), usage.evidence(context)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProbeError(f"the answer to GET /system/df of {params.url} cannot be understood", "protocol") from None
        measurements = tuple(
            Measurement(name, float(value), self.measures[name].unit) for name, value in numbers.items()
        )
        return Observation(measurements, evidence)


@dataclass(frozen=True, slots=True)
class _Image:
    name: str
    size: int  # of what only this image has
    made: datetime
    used: bool
    dangling: bool
    old: bool

    @classmethod
    def read(cls, item: Any, before: datetime) -> _Image:
        tags = [tag for tag in item.get("RepoTags") or () if tag != "<none>:<none>"]
        digests = [d for d in item.get("RepoDigests") or () if not d.startswith("<none>@")]
        made = datetime.fromtimestamp(max(0, item["Created"]), UTC)
        whole = item.get("Size", item.get("VirtualSize", 0))
        return cls(
            name=(tags or digests or [item["Id"].removeprefix("sha256:")[:12]])[0],
            size=max(0, whole - max(0, item.get("SharedSize", 0))),
            made=made,
            used=item.get("Containers", 0) != 0,  # -1: not worked out
            dangling=not tags and not digests,
            old=made < before,
        )


@dataclass(frozen=True, slots=True)
class _Usage:
    """One answer, taken apart."""

    layers: int
    images: Sequence[_Image]
    containers: Sequence[Mapping[str, Any]]
    volumes: Sequence[Mapping[str, Any]]
    cache: Sequence[Mapping[str, Any]]
    before: datetime

    @classmethod
    def read(cls, answer: Any, before: datetime) -> _Usage:
        images = [_Image.read(item, before) for item in answer.get("Images") or ()]
        return cls(
            layers=int(answer["LayersSize"]),
            images=images,
            containers=answer.get("Containers") or (),
            volumes=answer.get("Volumes") or (),
            cache=[item for item in answer.get("BuildCache") or () if not item.get("Shared")],
            before=before,
        )

    def numbers(self) -> dict[str, int]:
        unused = [image for image in self.images if not image.used]
        old = [image for image in unused if image.old]
        dangling = [image for image in unused if image.dangling]
        stopped = [c for c in self.containers if str(c.get("State", "")).lower() in ("created", "exited", "dead")]
        free = [volume for volume in self.volumes if _references(volume) == 0]
        idle = [item for item in self.cache if not item.get("InUse")]
        numbers = {
            "images": len(self.images),
            "images_bytes": self.layers,
            "unused_images": len(unused),
            "unused_images_bytes": sum(image.size for image in unused),
            "old_unused_images": len(old),
            "old_unused_images_bytes": sum(image.size for image in old),
            "dangling_images": len(dangling),
            "old_dangling_images": sum(image.old for image in dangling),
            "containers_bytes": _written(self.containers),
            "stopped_containers": len(stopped),
            "stopped_containers_bytes": _written(stopped),
            "volumes": len(self.volumes),
            "volumes_bytes": sum(map(_size, self.volumes)),
            "unused_volumes": len(free),
            "unused_volumes_bytes": sum(map(_size, free)),
            "build_cache_bytes": sum(item.get("Size") or 0 for item in self.cache),
            "unused_build_cache_bytes": sum(item.get("Size") or 0 for item in idle),
            "old_build_cache_bytes": sum(item.get("Size") or 0 for item in idle if self._is_old(item)),
        }
        parts = ("images", "containers", "volumes", "build_cache")
        spare = ("unused_images", "stopped_containers", "unused_volumes", "unused_build_cache")
        numbers["total_bytes"] = sum(numbers[f"{part}_bytes"] for part in parts)
        numbers["reclaimable_bytes"] = sum(numbers[f"{part}_bytes"] for part in spare)
        return numbers

    def _is_old(self, item: Mapping[str, Any]) -> bool:
        used = moment(item.get("LastUsedAt")) or moment(item.get("CreatedAt"))
        return used is not None and used < self.before

    def evidence(self, context: ProbeContext) -> tuple[Evidence, ...]:
        """The largest of what is unused."""
        lines = [
            (image.size, f"image {image.name}, made {_ago(image.made, context.now)}")
            for image in self.images
            if not image.used
        ]
        lines += [
            (_size(volume), f"volume {volume.get('Name', '?')}") for volume in self.volumes if not _references(volume)
        ]
        lines += [
            (_written([c]), f"stopped container {str((c.get('Names') or ['?'])[0]).lstrip('/')}")
            for c in self.containers
            if str(c.get("State", "")).lower() in ("exited", "dead") and _written([c])
        ]
        shown = [f"{format_value(float(size), Unit.BYTES)}: {what}" for size, what in sorted(lines, reverse=True)]
        text = "\n".join(shown[:_SHOWN] + ([f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []))
        return (Evidence("largest unused", text[: context.limits.max_evidence_chars]),) if shown else ()


def _references(volume: Mapping[str, Any]) -> int:
    return int((volume.get("UsageData") or {}).get("RefCount", -1))


def _size(volume: Mapping[str, Any]) -> int:
    return max(0, int((volume.get("UsageData") or {}).get("Size", 0)))  # -1: its driver cannot tell


def _written(containers: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(container.get("SizeRw") or 0) for container in containers)


def _ago(then: datetime, now: datetime) -> str:
    return f"{format_duration(float(round(max(0.0, (now - then).total_seconds()))))} ago"
