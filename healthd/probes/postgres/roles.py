"""Who may do what: superusers, log-ins and grants that nobody expects, passwords that run out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, OneOrMany, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import Grants, needs
from healthd.probes.postgres.rows import Row, answers

__all__ = ["PostgresRolesProbe"]

_SHOWN, _MAX = 20, 1000
# Roles whose members read or write the server's files or run its programs are as good as superusers.
_ROLES = """
SELECT rolname AS name, rolsuper AS superuser, rolcanlogin AS login,
       array_remove(ARRAY[
         CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
         CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)
       || ARRAY(SELECT m.rolname::text FROM pg_roles AS m
                 WHERE m.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                                     'pg_write_all_data')
                   AND NOT r.rolsuper AND pg_has_role(r.oid, m.oid, 'MEMBER') ORDER BY 1) AS privileges,
       CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil - clock_timestamp()) END AS valid_for
  FROM pg_roles AS r WHERE rolname !~ '^pg_' ORDER BY 1 LIMIT 5000
"""
# Everything granted to somebody who is not the owner, in schemas that are not the server's own, on single columns too;
# what an extension grants on its own objects (pg_init_privs) is left out, as nobody decided it here.
_GRANTS = """
WITH relations AS (
  SELECT c.oid, CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END AS kind,
         n.nspname || '.' || c.relname AS name, c.relowner AS owner, c.relacl AS acl
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
), objects AS (
  SELECT 'schema ' || nspname AS name, nspowner AS owner, nspacl AS acl, NULL::aclitem[] AS brought
    FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  UNION ALL
  SELECT r.kind || r.name, r.owner, r.acl, i.initprivs
    FROM relations AS r LEFT JOIN pg_init_privs AS i
      ON i.objoid = r.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0 AND i.privtype = 'e'
  UNION ALL
  SELECT 'column ' || r.name || '.' || c.attname, r.owner, c.attacl, NULL
    FROM pg_attribute AS c JOIN relations AS r ON r.oid = c.attrelid
   WHERE c.attacl IS NOT NULL AND NOT c.attisdropped
  UNION ALL
  SELECT 'database ' || datname, datdba, datacl, NULL FROM pg_database WHERE datname = current_database()
)
SELECT o.name, coalesce(g.rolname, 'PUBLIC') AS grantee,
       array_agg(a.privilege_type ORDER BY a.privilege_type) AS privileges
  FROM objects AS o CROSS JOIN LATERAL aclexplode(o.acl) AS a LEFT JOIN pg_roles AS g ON g.oid = a.grantee
 WHERE a.grantee <> o.owner
   AND NOT EXISTS (SELECT FROM aclexplode(o.brought) AS b
                    WHERE b.grantee = a.grantee AND b.privilege_type = a.privilege_type)
 GROUP BY o.name, g.rolname ORDER BY 1, 2 LIMIT 5000
"""
# What every database and schema public is made with: not somebody's decision.
_USUAL = {"database": {"CONNECT", "TEMPORARY"}, "schema": {"USAGE"}}
_DAY = 86400.0


class RolesParams(Params):
    """Who is expected (role names or globs). What is not given is counted, and nothing of it is unexpected.

    `superusers`, `logins` and `privileged`: roles that may be that. `grantees`: roles that may have been granted
    something on tables, schemas and the database; `PUBLIC` is one of them.
    """

    url: PostgresUrl
    superusers: OneOrMany | None = None
    logins: OneOrMany | None = None
    privileged: OneOrMany | None = None
    grantees: OneOrMany | None = None


class PostgresRolesProbe:
    """Reads pg_roles and the access lists of the connected database; any role may."""

    Params: ClassVar[type[Params]] = RolesParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "superusers": MeasureInfo(Unit.COUNT, "roles that are superusers"),
        "unexpected_superusers": MeasureInfo(Unit.COUNT, "those not among `superusers`"),
        "logins": MeasureInfo(Unit.COUNT, "roles that can log in"),
        "unexpected_logins": MeasureInfo(Unit.COUNT, "those not among `logins`"),
        "privileged": MeasureInfo(Unit.COUNT, "other roles with attributes or memberships that reach far"),
        "unexpected_privileged": MeasureInfo(Unit.COUNT, "those not among `privileged`"),
        "unexpected_grants": MeasureInfo(Unit.COUNT, "grants to roles not among `grantees`"),
        "public_create": MeasureInfo(Unit.COUNT, "schemas in which everybody may create"),
        "public_tables": MeasureInfo(Unit.COUNT, "tables, views and sequences on which everybody has a privilege"),
        "password_days_left": MeasureInfo(Unit.DAYS, "until the role's password runs out; one series per role"),
        "passwords_expired": MeasureInfo(Unit.COUNT, "roles that can log in whose password has run out"),
    }

    def measures_for(self, params: RolesParams) -> Mapping[str, MeasureInfo] | None:
        absent = {f"unexpected_{name}" for name in ("superusers", "logins", "privileged") if not _given(params, name)}
        absent |= set() if params.grantees is not None else {"unexpected_grants"}
        return {name: about for name, about in self.measures.items() if name not in absent}

    def grants(self, params: RolesParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url)

    async def run(self, params: RolesParams, context: ProbeContext) -> Observation:
        roles, grants = await answers(context, params.url, _ROLES, _GRANTS)
        kinds = {
            "superusers": [row for row in roles if row["superuser"]],
            "logins": [row for row in roles if row["login"]],
            "privileged": [row for row in roles if row["privileges"] and not row["superuser"]],
        }
        strangers = {kind: _unexpected(rows, getattr(params, kind)) for kind, rows in kinds.items()}
        unwanted = _unwanted(grants, params.grantees)
        values: dict[str, float | None] = {kind: len(rows) for kind, rows in kinds.items()}
        values |= {f"unexpected_{kind}": len(rows) for kind, rows in strangers.items() if _given(params, kind)}
        values |= {"unexpected_grants": len(unwanted)} if params.grantees is not None else {}
        found = (*measured(self.measures, {**values, **_public(grants)}), *self._passwords(kinds["logins"]))
        limit = context.limits.max_evidence_chars
        return Observation(found, tuple(_evidence(strangers, unwanted, grants, limit)))

    def _passwords(self, logins: list[Row]) -> Iterable[Measurement]:
        ending = [row for row in logins if row["valid_for"] is not None]
        yield from measured(self.measures, {"passwords_expired": sum(row["valid_for"] <= 0 for row in ending)})
        for row in ending[:_MAX]:
            days = float(row["valid_for"]) / _DAY
            yield from measured(self.measures, {"password_days_left": days}, row["name"])


def _given(params: RolesParams, kind: str) -> bool:
    return getattr(params, kind) is not None


def _expected(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _unexpected(rows: list[Row], globs: tuple[str, ...] | None) -> list[Row]:
    return [] if globs is None else [row for row in rows if not _expected(row["name"], globs)]


def _unwanted(grants: list[Row], grantees: tuple[str, ...] | None) -> list[Row]:
    if grantees is None:
        return []
    return [row for row in grants if not _usual(row) and not _expected(row["grantee"], grantees)]


def _usual(grant: Row) -> bool:
    kind, _, name = grant["name"].partition(" ")
    if grant["grantee"] != "PUBLIC" or (kind == "schema" and name != "public"):
        return False
    return set(grant["privileges"]) <= _USUAL.get(kind, set())


def _public(grants: list[Row]) -> dict[str, float]:
    everybody = [row for row in grants if row["grantee"] == "PUBLIC"]
    return {
        "public_create": sum(row["name"].startswith("schema ") and "CREATE" in row["privileges"] for row in everybody),
        "public_tables": sum(row["name"].startswith(("table ", "sequence ")) for row in everybody),
    }


def _evidence(
    strangers: Mapping[str, list[Row]], unwanted: list[Row], grants: list[Row], limit: int
) -> Iterable[Evidence]:
    for kind, rows in strangers.items():
        if rows:
            yield Evidence(f"unexpected {kind}", "\n".join(map(_role_words, rows[:_SHOWN]))[:limit])
    shown = unwanted or [row for row in grants if row["grantee"] == "PUBLIC" and not _usual(row)]
    if shown:
        title = "unexpected grants" if unwanted else "what everybody may do"
        lines = (f"{row['grantee']}: {', '.join(row['privileges'])} on {row['name']}" for row in shown[:_SHOWN])
        yield Evidence(title, "\n".join(lines)[:limit])


def _role_words(row: Row) -> str:
    words = [*(["superuser"] if row["superuser"] else []), *row["privileges"]]
    return f"{row['name']}: {', '.join(words) or 'nothing special'}" + ("" if row["login"] else ", cannot log in")
