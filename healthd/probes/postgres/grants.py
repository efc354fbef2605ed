"""What a PostgreSQL role must be granted for a check, said by each probe beside its queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pydantic import SecretStr

from healthd.probes.postgres.dsn import Target, parse_dsn
from healthd.probes.postgres.relations import Relation, functions_in, quoted, relations_in, strings_in

__all__ = ["CREATE_DATABASES", "MONITOR", "READ_ALL", "SETTINGS", "STATS", "Grant", "Granted", "Grants", "statements"]


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """`what` a role needs `on` something; membership in a predefined role has no `on`."""

    rank: int  # the order in which a person would write them
    what: str
    on: str = ""

    def sql(self, role: str) -> str:
        """The statement that gives it."""
        if self == CREATE_DATABASES:
            return f"ALTER ROLE {quoted(role)} {self.what};"
        return f"GRANT {self.what}{f' ON {self.on}' if self.on else ''} TO {quoted(role)};"


# Predefined roles of the server, from the least to the most
SETTINGS = Grant(1, "pg_read_all_settings")
STATS = Grant(1, "pg_read_all_stats")
MONITOR = Grant(1, "pg_monitor")
READ_ALL = Grant(1, "pg_read_all_data")

CREATE_DATABASES = Grant(1, "CREATEDB")  # an attribute of the role

# What only superusers and members of pg_read_all_settings are shown, in any version
GUARDED_SETTINGS = frozenset({
    "config_file", "data_directory", "dynamic_library_path", "extension_control_path", "extension_destdir",
    "external_pid_file", "hba_file", "hosts_file", "ident_file", "jit_provider", "krb_server_keyfile", "log_directory",
    "log_filename", "oauth_validator_libraries", "output_plugin_libraries", "primary_conninfo", "promote_trigger_file",
    "session_preload_libraries", "shared_preload_libraries", "ssl_ciphers", "ssl_dh_params_file", "ssl_ecdh_curve",
    "ssl_groups", "ssl_max_protocol_version", "ssl_min_protocol_version", "ssl_passphrase_command",
    "ssl_tls13_ciphers", "unix_socket_directories",
})  # fmt: skip
# Views that show others' rows only to members of pg_read_all_stats, and functions that only its members may call
_GUARDED_VIEWS = re.compile(r"pg_stat_(activity|replication|wal_receiver|statements|ssl|gssapi|progress_\w+)")
_GUARDED_FUNCTIONS = {r"pg_(database|tablespace)_size": STATS, r"pg_ls_\w+dir": MONITOR, r"pgstat\w+": MONITOR}
# Catalogues nobody reads without a grant
_PRIVATE = frozenset({
    "pg_authid", "pg_shadow", "pg_statistic", "pg_statistic_ext_data", "pg_user_mapping", "pg_largeobject",
    "pg_subscription",
})  # fmt: skip


Grants = tuple[tuple[SecretStr, Grant], ...]


@runtime_checkable
class Granted(Protocol):
    """A probe that can say what it must be granted."""

    def grants(self, params: Any) -> Grants:
        """The least a check with these parameters needs, each with the URL of the database it is for."""


def to_connect(url: SecretStr) -> tuple[SecretStr, Grant]:
    """What every look at a database begins with."""
    target = parse_dsn(url.get_secret_value())
    return url, Grant(0, "CONNECT", f"DATABASE {quoted(database_of(target))}")


def needs(url: SecretStr, *grants: Grant) -> Grants:
    """These, and to connect."""
    return (to_connect(url), *((url, grant) for grant in grants))


def database_of(target: Target) -> str:
    """The database a URL means."""
    return target.conninfo.get("dbname") or target.conninfo.get("user", "")


def to_read(url: SecretStr, relations: Iterable[Relation]) -> Iterator[Grant]:
    """To read these tables and views, found in the schema that the URL's search path names first."""
    schema = _first_schema(parse_dsn(url.get_secret_value()))
    for relation in relations:
        place = relation if relation.schema else Relation(schema, relation.name)
        if place.schema:
            yield Grant(2, "USAGE", f"SCHEMA {quoted(place.schema)}")
        yield Grant(3, "SELECT", str(place))


def for_query(url: SecretStr, sql: str) -> Grants:
    """What a SELECT needs, as far as its text tells: what views and functions of one's own read is not seen."""
    found: set[Grant] = set()
    own: set[Relation] = set()
    for relation in relations_in(sql):
        if not _is_of_server(relation):
            own.add(relation)
        elif _GUARDED_VIEWS.fullmatch(relation.name):
            found.add(STATS)
        elif relation.name in _PRIVATE:
            found.add(Grant(3, "SELECT", f"pg_catalog.{relation.name}"))
    if strings_in(sql) & GUARDED_SETTINGS:
        found.add(SETTINGS)
    for name in functions_in(sql):
        found.update(grant for pattern, grant in _GUARDED_FUNCTIONS.items() if re.fullmatch(pattern, name))
    return needs(url, *found, *to_read(url, own))


def _is_of_server(relation: Relation) -> bool:
    return relation.schema in ("pg_catalog", "information_schema") or (
        not relation.schema and relation.name.startswith("pg_")
    )


def _first_schema(target: Target) -> str:
    found = re.search(r"search_path=((?:\\.|[^\s,\\])+)", target.conninfo.get("options", ""))
    return re.sub(r"\\(.)", r"\1", found[1]).strip('"') if found else ""


def statements(grants: Iterable[Grant], role: str) -> list[str]:
    """The statements that give a role all of them, without what a wider one holds."""
    wanted = set(grants)
    if MONITOR in wanted:
        wanted -= {SETTINGS, STATS}
    if READ_ALL in wanted:
        wanted = {grant for grant in wanted if grant.what not in ("SELECT", "USAGE") or "pg_catalog." in grant.on}
    return [grant.sql(role) for grant in sorted(wanted)]
