"""What a probe must be allowed to do, as rules of Kubernetes' role-based access control (RBAC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = ["Guarded", "Rule", "roles"]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """`verb` on `resource` ("pods", "pods/log") of an API group ("" is the core) in a namespace ("": in all)."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} on {what} {where}"


@runtime_checkable
class Guarded(Protocol):
    """A probe that can say what it must be allowed to do."""

    def rules(self, params: Any) -> tuple[Rule, ...]:
        """The least a check with these parameters needs."""


def roles(rules: Iterable[Rule], name: str = "healthd") -> list[dict[str, Any]]:
    """The least Roles and ClusterRole that allow all of `rules`, as manifests; each namespace has its own Role.

    What the ClusterRole allows everywhere is left out of the Roles.
    """
    wanted = set(rules)
    everywhere = {(r.verb, r.resource, r.group) for r in wanted if not r.namespace}
    places: dict[str, set[Rule]] = defaultdict(set)
    for rule in wanted:
        if not rule.namespace or (rule.verb, rule.resource, rule.group) not in everywhere:
            places[rule.namespace].add(rule)
    return [_role(name, namespace, places[namespace]) for namespace in sorted(places)]


def _role(name: str, namespace: str, rules: set[Rule]) -> dict[str, Any]:
    verbs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in rules:
        verbs[rule.group, rule.resource].add(rule.verb)
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), allowed in sorted(verbs.items()):
        resources[group, tuple(sorted(allowed))].append(resource)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "rules": [
            {"apiGroups": [group], "resources": named, "verbs": list(allowed)}
            for (group, allowed), named in resources.items()
        ],
    }
