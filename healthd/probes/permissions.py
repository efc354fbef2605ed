"""What the checks of a catalogue must be allowed to do, and where: clusters, AWS accounts, databases.

Put together from what each probe says of a check with its parameters: `rules` (Kubernetes), `allows` (AWS), `grants`
(PostgreSQL). The probes say so beside the code that asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from healthd.model.catalogue import Catalogue, Check
from healthd.probes.aws.operations import Allowed, policy_document
from healthd.probes.aws.operations import Guarded as AskingAws
from healthd.probes.aws.params import AwsParams
from healthd.probes.kubernetes.access import Guarded, Rule, bindings, roles
from healthd.probes.kubernetes.params import ClusterParams
from healthd.probes.postgres.dsn import parse_dsn
from healthd.probes.postgres.grants import Grant, Granted, database_of, statements

__all__ = ["Account", "Cluster", "Database", "Permissions", "permissions"]

Where = TypeVar("Where", bound=Hashable)
Need = TypeVar("Need", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster; both names empty: the one healthd runs in."""

    kubeconfig: str
    context: str
    rules: frozenset[Rule]
    checks: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its context, else its kubeconfig, else `here`."""
        return self.context or self.kubeconfig or "here"

    def __str__(self) -> str:
        words = [f"kubeconfig {self.kubeconfig}" if self.kubeconfig else ""]
        words += [f"context {self.context}" if self.context else ""]
        return ", ".join(filter(None, words)) or "the cluster healthd runs in, or of its own kubeconfig"

    def manifests(self, name: str, account: str, namespace: str) -> list[dict[str, Any]]:
        """The Roles and ClusterRole of that name, and what binds them to that service account."""
        found = roles(self.rules, name)
        return [*found, *bindings(found, account, namespace)]


@dataclass(frozen=True, slots=True)
class Account:
    """An identity in AWS: a profile or the environment's credentials, and the role assumed with them, if any."""

    profile: str
    role: str
    allowed: frozenset[Allowed]
    checks: tuple[str, ...]

    def __str__(self) -> str:
        return self.role or (f"profile {self.profile}" if self.profile else "healthd's own credentials")

    @property
    def policy(self) -> dict[str, Any]:
        """The policy document."""
        return policy_document(self.allowed)


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database and the role that asks it; `role` is empty when the URL names none."""

    server: str
    name: str
    role: str
    grants: frozenset[Grant]
    checks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.server}/{self.name}"

    def statements(self, role: str) -> list[str]:
        """What a superuser of that database runs; `role` is whom it is for where the URL names nobody."""
        return statements(self.grants, self.role or role)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Everything, each in the order of its name."""

    clusters: tuple[Cluster, ...] = ()
    accounts: tuple[Account, ...] = ()
    databases: tuple[Database, ...] = ()


def permissions(catalogue: Catalogue, probes: Mapping[str, Any]) -> Permissions:
    """What the enabled checks need, and the looks that playbooks take when an incident opens. `probes` is PROBES."""
    looks = [(check, probes[check.probe.type]) for check in _looks(catalogue) if check.probe.type in probes]
    return Permissions(
        tuple(Cluster(*where, needs, checks) for where, needs, checks in _grouped(_of_clusters(looks))),
        tuple(Account(*where, needs, checks) for where, needs, checks in _grouped(_of_accounts(looks))),
        tuple(Database(*where, needs, checks) for where, needs, checks in _grouped(_of_databases(looks))),
    )


def _looks(catalogue: Catalogue) -> Iterator[Check]:
    yield from (check for check in catalogue.checks.values() if check.enabled)
    for system in catalogue.systems.values():
        for playbook in system.playbooks.values():
            yield from (step.look for step in playbook.diagnostics if step.look is not None)


Looks = Iterable[tuple[Check, Any]]


def _of_clusters(looks: Looks) -> Iterator[tuple[tuple[str, str], Rule, str]]:
    for check, probe in looks:
        params = check.probe.params
        if isinstance(probe, Guarded) and isinstance(params, ClusterParams):
            where = (str(params.kubeconfig or ""), params.context or "")
            yield from ((where, rule, check.id) for rule in probe.rules(params))


def _of_accounts(looks: Looks) -> Iterator[tuple[tuple[str, str], Allowed, str]]:
    for check, probe in looks:
        if not isinstance(probe, AskingAws):
            continue
        for params, allowed in probe.allows(check.probe.params):
            assert isinstance(params, AwsParams)
            profile, role = params.profile or "", params.role_arn or ""
            yield (profile, role), allowed, check.id
            if role:
                yield (profile, ""), Allowed("sts:AssumeRole", role), check.id


def _of_databases(looks: Looks) -> Iterator[tuple[tuple[str, str, str], Grant, str]]:
    for check, probe in looks:
        if not isinstance(probe, Granted):
            continue
        for url, grant in probe.grants(check.probe.params):
            target = parse_dsn(url.get_secret_value())
            host = target.conninfo.get("host") or target.conninfo.get("hostaddr") or "local socket"
            port = target.conninfo.get("port", "5432")
            yield (f"{host}:{port}", database_of(target), target.conninfo.get("user", "")), grant, check.id


def _grouped(
    needs: Iterable[tuple[Where, Need, str]],
) -> Iterator[tuple[Where, frozenset[Need], tuple[str, ...]]]:
    """By where, in order."""
    found: dict[Where, set[Need]] = defaultdict(set)
    checks: dict[Where, dict[str, None]] = defaultdict(dict)
    for where, need, check in needs:
        found[where].add(need)
        checks[where][check] = None
    for where in sorted(found, key=str):
        yield where, frozenset(found[where]), tuple(checks[where])
