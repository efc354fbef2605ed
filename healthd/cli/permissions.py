"""`healthd permissions`: what the enabled checks must be allowed to do, to give it to healthd and nothing more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from healthd.cli.common import Refused, catalogue_or_refuse, print_json, settings_or_refuse
from healthd.probes import PROBES
from healthd.probes.permissions import Account, Cluster, Database, Permissions
from healthd.probes.permissions import permissions as compute
from healthd.probes.postgres.relations import quoted


@dataclass(frozen=True)
class _Names:
    """What what is made is called, and whom it is for."""

    role: str
    account: str
    namespace: str
    sql_role: str


@click.command(short_help="The least Roles, IAM policies and SQL grants it needs.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--kind", "kinds", type=click.Choice(["kubernetes", "aws", "sql"]), multiple=True, help="Only these.")
@click.option(
    "--format", "output", type=click.Choice(["text", "json", "yaml"]), default="text",
    help="For people (and kubectl, psql), or for programs.",
)  # fmt: skip
@click.option("--cluster", metavar="NAME", help="Only this cluster: a context, a kubeconfig, or here.")
@click.option("--server", metavar="HOST:PORT", help="Only databases of this server.")
@click.option("--name", default="healthd", show_default=True, help="What the Roles and their bindings are called.")
@click.option("--service-account", default="healthd", show_default=True, help="Whom the bindings are for.")
@click.option("--namespace", default="healthd", show_default=True, help="Where that service account is.")
@click.option("--sql-role", default="healthd", show_default=True, help="Whom grants are for, where a URL names nobody.")
def permissions(  # noqa: PLR0917 - one for each option
    paths: tuple[str, ...], kinds: tuple[str, ...], output: str, name: str, service_account: str, namespace: str,
    sql_role: str, cluster: str | None, server: str | None,
) -> int:  # fmt: skip
    """The least Roles, IAM policies and SQL grants for the enabled checks (default: of HEALTHD_CHECKS).

    What playbooks look at when an incident opens is included. Nothing is asked and nothing is changed.

    \b
    healthd permissions checks --kind kubernetes --format yaml | kubectl apply -f -
    healthd permissions checks --kind sql --server db:5432 | psql --host db postgres
    healthd permissions checks --kind aws --format json | jq '.aws[0].policy'
    """
    everything = compute(catalogue_or_refuse(settings_or_refuse(), paths), PROBES)
    found = _only(everything, cluster, server)
    names, wanted = _Names(name, service_account, namespace, sql_role), kinds or ("kubernetes", "aws", "sql")
    if output == "text":
        click.echo("\n\n".join(_text(found, names, wanted)) or "the enabled checks need none of these permissions")
    elif output == "yaml" and tuple(wanted) == ("kubernetes",):
        click.echo("---\n".join(_manifests(each, names) for each in _one_of(found.clusters)), nl=False)
    elif output == "yaml":
        click.echo(_yaml(_as_json(found, names, wanted)), nl=False)
    else:
        print_json(_as_json(found, names, wanted))
    return 0


def _only(found: Permissions, cluster: str | None, server: str | None) -> Permissions:
    """What concerns that cluster and that server. Refused, with those there are, where there is none."""
    for what, name, known in (
        ("cluster", cluster, dict.fromkeys(c.name for c in found.clusters)),
        ("server", server, dict.fromkeys(d.server for d in found.databases)),
    ):
        if name is not None and name not in known:
            raise Refused(f"no check asks a {what} {name!r}; they ask {', '.join(known) or 'none'}")
    return Permissions(
        tuple(c for c in found.clusters if cluster in (None, c.name)),
        found.accounts,
        tuple(d for d in found.databases if server in (None, d.server)),
    )


def _one_of(clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """What is piped to kubectl is for one cluster: the one healthd runs in, where there are several."""
    if len(clusters) < 2:
        return clusters
    for other in clusters[1:]:
        click.echo(f"left out: {other}; for that, --cluster {other.name}", err=True)
    return clusters[:1]  # sorted: the one without a name comes first


def _text(found: Permissions, names: _Names, wanted: tuple[str, ...]) -> Iterator[str]:
    """Sections that kubectl, AWS and psql take one by one."""
    if "kubernetes" in wanted:
        yield from (_manifests(cluster, names).rstrip("\n") for cluster in found.clusters)
    if "aws" in wanted:
        for account in found.accounts:
            yield f"{_heading('//', 'AWS', account)}\n{json.dumps(account.policy, indent=2)}"
    if "sql" in wanted:
        for database in found.databases:
            connect = f"\\connect {quoted(database.name)}"  # tables are granted in their database
            yield "\n".join([_heading("--", "PostgreSQL", database), connect, *database.statements(names.sql_role)])


def _manifests(cluster: Cluster, names: _Names) -> str:
    documents = cluster.manifests(names.role, names.account, names.namespace)
    return f"{_heading('#', 'Kubernetes', cluster)}\n" + "---\n".join(map(_yaml, documents))


def _heading(mark: str, what: str, where: Cluster | Account | Database) -> str:
    count = len(where.checks)
    return f"{mark} {what}: {where} ({count} check{'s' if count != 1 else ''})"


def _as_json(found: Permissions, names: _Names, wanted: tuple[str, ...]) -> dict[str, Any]:
    sections: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "kubernetes": lambda: [
            {
                "cluster": str(cluster), "kubeconfig": cluster.kubeconfig, "context": cluster.context,
                "checks": cluster.checks, "manifests": cluster.manifests(names.role, names.account, names.namespace),
            }
            for cluster in found.clusters
        ],
        "aws": lambda: [
            {"identity": str(a), "profile": a.profile, "role": a.role, "checks": a.checks, "policy": a.policy}
            for a in found.accounts
        ],
        "sql": lambda: [
            {
                "server": d.server, "database": d.name, "role": d.role or names.sql_role, "checks": d.checks,
                "statements": d.statements(names.sql_role),
            }
            for d in found.databases
        ],
    }  # fmt: skip
    return {kind: sections[kind]() for kind in sections if kind in wanted}


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, allow_unicode=True)
