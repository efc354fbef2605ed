"""What is kept of the engine's answers about containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Container", "Details", "moment", "read_container", "read_details"]

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
DEPENDS_ON = "com.docker.compose.depends_on"
_NEVER = datetime(1, 1, 2, tzinfo=UTC)
_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the list. `state`: created, running, paused, restarting, removing, exited or dead."""

    id: str
    name: str
    image: str
    state: str
    status: str  # for people: "Up 3 hours (healthy)"
    labels: Mapping[str, str]

    @property
    def project(self) -> str:
        """Its compose project, "" for none."""
        return self.labels.get(PROJECT, "")

    @property
    def service(self) -> str:
        """Its compose service, "" for none."""
        return self.labels.get(SERVICE, "")

    @property
    def one_off(self) -> bool:
        """Whether it was made by `docker compose run`."""
        return self.labels.get(ONE_OFF, "").lower() == "true"

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The compose services it needs."""
        written = self.labels.get(DEPENDS_ON, "")  # db:service_healthy:false,cache:service_started:true
        return tuple(part.partition(":")[0].strip() for part in written.split(",") if part.strip())

    @property
    def health(self) -> str:
        """healthy, unhealthy, starting, or "" where the image and service have no health check."""
        found = _HEALTH.search(self.status)
        return found[1].removeprefix("health: ") if found else ""


@dataclass(frozen=True, slots=True)
class Details:
    """What only an inspection tells. `exit_code` and `oom_killed` are of the last time it ended."""

    container: Container
    restarts: int
    started: datetime | None
    finished: datetime | None
    exit_code: int
    oom_killed: bool
    error: str
    tty: bool
    cpus: float | None  # processors it may use, None for all
    health: str
    health_output: str  # of its last health check


def read_container(item: Any) -> Container:
    """An item of /containers/json. Raises KeyError, TypeError, ... for something else."""
    names = sorted((str(name).lstrip("/") for name in item.get("Names") or ()), key=lambda n: n.count("/"))
    return Container(
        id=str(item["Id"]),
        name=names[0] if names else str(item["Id"])[:12],  # links give a container further names, with a slash
        image=str(item.get("Image", "")),
        state=str(item.get("State", "")).lower(),
        status=str(item.get("Status", "")),
        labels={str(k): str(v) for k, v in (item.get("Labels") or {}).items()},
    )


def read_details(container: Container, item: Any) -> Details:
    """The answer of /containers/ID/json. Raises KeyError, TypeError, ... for something else."""
    state, host = item["State"], item.get("HostConfig") or {}
    health = state.get("Health") or {}
    last = (health.get("Log") or [{}])[-1]
    return Details(
        container=container,
        restarts=int(item.get("RestartCount") or 0),
        started=moment(state.get("StartedAt")),
        finished=moment(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        tty=bool((item.get("Config") or {}).get("Tty")),
        cpus=_cpus(host),
        health={"none": ""}.get(str(health.get("Status", "")), str(health.get("Status", ""))),
        health_output=str(last.get("Output") or ""),
    )


def moment(text: Any) -> datetime | None:
    """A time of the engine (nanoseconds and all), None for its zero time. Raises ValueError for something else."""
    if not text:
        return None
    found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return found if found > _NEVER else None


def _cpus(host: Mapping[str, Any]) -> float | None:
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / 1e9
    if host.get("CpuQuota") and int(host["CpuQuota"]) > 0:
        return float(host["CpuQuota"]) / float(host.get("CpuPeriod") or 100_000)
    return None
