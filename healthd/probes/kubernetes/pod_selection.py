"""Choosing pods: by namespace and labels, by what owns them, by name."""

from __future__ import annotations

from healthd.probes.base import ProbeContext
from healthd.probes.kubernetes.listing import Objects, list_everywhere
from healthd.probes.kubernetes.params import Names, NamespacedParams, matcher
from healthd.probes.kubernetes.pod_facts import PODS, Pod

__all__ = ["PodParams", "select_pods"]


class PodParams(NamespacedParams):
    """Which pods. `owner`: "Deployment/web", "CronJob/cleanup", or a name alone; globs are allowed."""

    owner: Names = ()

    def which(self) -> str:
        """Owners, selector and names in words, with a space at the end if there are any."""
        return (f"of {', '.join(self.owner)} " if self.owner else "") + super().which()


async def select_pods(params: PodParams, context: ProbeContext) -> list[Pod]:
    """The pods chosen, of all namespaces asked for. Raises ProbeError."""
    found: list[Pod] = []
    for namespace in params.lists:
        found += _select(await list_everywhere(PODS, params, context, namespace), params)
    return found


def _select(pods: Objects[Pod], params: PodParams) -> list[Pod]:
    if not params.owner:
        chosen = pods.select(params.selector)
    else:
        # there are far fewer owners than pods
        owned = matcher(params.owner)
        groups = pods.grouped("owner").items()
        chosen = [pod for owner, group in groups if owned(owner) or owned(owner.partition("/")[2]) for pod in group]
        chosen = [pod for pod in chosen if params.selector.holds(pod.labels)] if params.selector else chosen
    if not params.name:
        return chosen
    wanted = matcher(params.name)
    return [pod for pod in chosen if wanted(pod.name)]
