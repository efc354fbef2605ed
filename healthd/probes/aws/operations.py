"""What the AWS probes may ask: each call is declared where it is made, with the permission it needs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, runtime_checkable

__all__ = ["Allowed", "Fields", "Guarded", "Operation", "allowed", "policy_document"]

_READS = re.compile(r"(list|describe|get|head|filter|download)_\w+")
# They read too, whatever their names say: IAM counts them among the actions of access level Read.
_READS_TOO = frozenset({"start_query", "stop_query", "generate_credential_report"})
# They read secrets, which no probe has any use for.
_SECRETS = re.compile(r".*(secret_value|session_token|federation_token|parameters?|login_profile|password.*)")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the AWS API. Raises ValueError for one that does more than read.

    `service` and `method` as boto3 names them, `action` as IAM does ("rds:DescribeDBInstances"). `resource` is what the
    permission is needed on, with request parameters in braces. `items` is where a page of the answer has its list.
    `token` names the field of the answer and of the next request that hold the place, where boto3 cannot page.
    `absent` are error codes that mean: there is none.
    """

    service: str
    method: str
    action: str
    items: str = ""
    resource: str = "*"
    token: tuple[str, str] | None = None
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        reads = _READS.fullmatch(self.method) or self.method in _READS_TOO
        if not reads or _SECRETS.fullmatch(self.method):
            raise ValueError(f"{self.service} {self.method} is not among the operations a probe may ask")

    def needs(self, request: Mapping[str, Any]) -> str:
        """The permission in words: s3:ListBucket on arn:aws:s3:::backups."""
        resource = re.sub(r"\{(\w+)\}", lambda part: _shown(request.get(part[1], "*")), self.resource)
        return self.action + (f" on {resource}" if resource != "*" else "")


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


Fields = Mapping[str, tuple[str, ...]]  # fields of a request to what they will be; `*` stands for anything


@dataclass(frozen=True, slots=True)
class Allowed:
    """An action on a resource, as IAM has them."""

    action: str
    resource: str


@runtime_checkable
class Guarded(Protocol):
    """A probe that can say what it must be allowed to ask of AWS."""

    def allows(self, params: Any) -> Iterable[tuple[Any, Allowed]]:
        """The least a check with these parameters needs, each with the AwsParams it asks with."""


def allowed(operation: Operation, fields: Fields) -> Iterator[Allowed]:
    """What it takes to ask this with those fields; where one is not given, on any resource of its kind."""
    names = re.findall(r"\{(\w+)\}", operation.resource)
    for values in product(*(fields.get(name, ("*",)) for name in names)):
        resource = operation.resource
        for name, value in zip(names, values, strict=True):
            resource = resource.replace(f"{{{name}}}", value)
        yield Allowed(operation.action, resource)


def policy_document(wanted: Iterable[Allowed]) -> dict[str, Any]:
    """The least IAM policy that allows all of it. Resources with the same actions share a statement."""
    actions: dict[str, set[str]] = defaultdict(set)
    for one in wanted:
        actions[one.resource].add(one.action)
    everywhere = actions.get("*", set())
    resources: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for resource in sorted(actions):
        rest = actions[resource] if resource == "*" else actions[resource] - everywhere
        if rest:
            resources[tuple(sorted(rest))].append(resource)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(names), "Resource": found[0] if len(found) == 1 else found}
            for names, found in resources.items()
        ],
    }
