"""What a probe must be allowed to do, as rules of Kubernetes' role-based access control (RBAC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = ["Guarded", "Rule", "bindings", "roles"]


_GROUP = "rbac.authorization.k8s.io"
_VERSION = f"{_GROUP}/v1"


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """`verb` on `resource` ("pods", "pods/log") of an API group ("" is the core) in a namespace ("": in all).

    With `name` only on the object of that name.
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        what += f" {self.name}" if self.name else ""
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
    everywhere = {(r.verb, r.resource, r.group) for r in wanted if not r.namespace and not r.name}
    places: dict[str, set[Rule]] = defaultdict(set)
    for rule in wanted:
        if not rule.namespace or (rule.verb, rule.resource, rule.group) not in everywhere:
            places[rule.namespace].add(rule)
    return [_role(name, namespace, places[namespace]) for namespace in sorted(places)]


def bindings(found: Iterable[Mapping[str, Any]], account: str, namespace: str) -> list[dict[str, Any]]:
    """What gives Roles and ClusterRoles to a service account of a namespace."""
    return [
        {
            "apiVersion": _VERSION,
            "kind": f"{role['kind']}Binding",
            "metadata": dict(role["metadata"]),
            "roleRef": {"apiGroup": _GROUP, "kind": role["kind"], "name": role["metadata"]["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }
        for role in found
    ]


def _role(name: str, namespace: str, rules: set[Rule]) -> dict[str, Any]:
    verbs: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
    names: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
    for rule in rules:
        key = rule.group, rule.resource, bool(rule.name)
        verbs[key].add(rule.verb)
        names[key].add(rule.name)
    written: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for key, allowed in sorted(verbs.items()):
        group, resource, some = key
        written[group, tuple(sorted(allowed)), tuple(sorted(names[key])) if some else ()].append(resource)
    return {
        "apiVersion": _VERSION,
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "rules": [
            {
                "apiGroups": [group],
                "resources": resources,
                "verbs": list(allowed),
                **({"resourceNames": list(only)} if only else {}),
            }
            for (group, allowed, only), resources in written.items()
        ],
    }
