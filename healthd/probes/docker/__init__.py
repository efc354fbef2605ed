"""Docker's engine: compose projects, containers, their logs, and the disk they take."""

from healthd.probes.docker.compose import DockerComposeProbe
from healthd.probes.docker.containers import DockerContainersProbe
from healthd.probes.docker.disk import DockerDiskProbe
from healthd.probes.docker.logs import DockerLogsProbe

__all__ = ["DockerComposeProbe", "DockerContainersProbe", "DockerDiskProbe", "DockerLogsProbe"]
