"""`iam`: unused roles, users and keys, old keys, users without a second factor, policies that allow everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.credential_report import CREDENTIAL_REPORT, GENERATE_REPORT, Key, credential_report
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.aws.wide_policies import allows_everything
from healthd.probes.base import Duration, MeasureInfo, Observation

DETAILS = Operation("iam", "get_account_authorization_details", "iam:GetAccountAuthorizationDetails")
# Roles that AWS itself makes and needs
_OF_AWS = ("/aws-service-role/", "/aws-reserved/")
_OWNED_BY_AWS = ":iam::aws:policy/"
_ADMINISTRATOR = f"{_OWNED_BY_AWS}AdministratorAccess"
_SHOWN = 20

Aspect = Literal["roles", "users", "policies"]
Found = dict[str, float | str | None]


class IamParams(AwsParams):
    """What counts as unused and as old; `ignore` names roles, users and policies that are known and accepted."""

    aspects: tuple[Aspect, ...] = Field(("roles", "users", "policies"), min_length=1)
    unused_after: Duration = timedelta(days=90)
    key_age: Duration = timedelta(days=90)
    ignore: Names = ()

    def minds(self, name: str) -> bool:
        """Whether it is not among those ignored."""
        return not self.ignore or not fits(name, self.ignore)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one aspect found: measures, and the names behind them."""

    found: Found
    names: Mapping[str, Sequence[str]]


class IamProbe(AwsProbe):
    """Reads the account's list of roles and policies, and the credential report."""

    Params: ClassVar[type[base.Params]] = IamParams
    operations: ClassVar[tuple[Operation, ...]] = (DETAILS, CREDENTIAL_REPORT, GENERATE_REPORT)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "roles": count_of("roles that AWS did not make for itself"),
        "unused_roles": count_of("of them not used for unused_after, and older than that"),
        "users": count_of("users"),
        "unused_users": count_of("users whose password and keys were not used for unused_after, and older than that"),
        "access_keys": count_of("active access keys"),
        "unused_keys": count_of("of them not used for unused_after, and older than that"),
        "old_keys": count_of("active keys older than key_age"),
        "oldest_key_age": MeasureInfo(Unit.SECONDS, "of the oldest active key; absent without one"),
        "without_mfa": count_of("users with a password and no second factor"),
        "root_mfa": count_of("1 when the root user has a second factor; absent when the report does not say"),
        "root_keys": count_of("active access keys of the root user"),
        "wildcard_policies": count_of("own policies, also inline ones, that allow every action on every resource"),
        "administrators": count_of("users, groups and roles with the policy AdministratorAccess"),
    }
    _BY_ASPECT: ClassVar[Mapping[Aspect, tuple[str, ...]]] = {
        "roles": ("roles", "unused_roles"),
        "users": (
            "users", "unused_users", "access_keys", "unused_keys", "old_keys", "oldest_key_age", "without_mfa",
            "root_mfa", "root_keys",
        ),
        "policies": ("wildcard_policies", "administrators"),
    }  # fmt: skip

    def measures_for(self, params: IamParams) -> Mapping[str, MeasureInfo]:
        """Those of the aspects looked at."""
        return {name: self.measures[name] for aspect in params.aspects for name in self._BY_ASPECT[aspect]}

    def needs(self, params: IamParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        details = (DETAILS,) if set(params.aspects) & {"roles", "policies"} else ()
        return (*details, *((CREDENTIAL_REPORT, GENERATE_REPORT) if "users" in params.aspects else ()))

    async def look(self, params: IamParams, aws: Asker) -> Observation:
        """Ask for what the aspects need."""
        looks: dict[Aspect, Callable[[IamParams, Asker], Any]] = {
            "roles": _roles, "users": _users, "policies": _policies
        }  # fmt: skip
        parts: list[_Part] = await asyncio.gather(*(looks[aspect](params, aws) for aspect in params.aspects))
        found: Found = {name: value for part in parts for name, value in part.found.items()}
        evidence = [
            Evidence(
                title, "\n".join([*names[:_SHOWN], *([f"and {len(names) - _SHOWN} more"] * (len(names) > _SHOWN))])
            )
            for part in parts
            for title, names in part.names.items()
            if names
        ]
        return Observation(self.measured(found), tuple(evidence))


async def _entries(aws: Asker, kind: str, filters: Sequence[str]) -> list[dict[str, Any]]:
    return [entry for page in await aws.pages(DETAILS, Filter=list(filters)) for entry in page.get(kind, ())]


_FILTERS = ("User", "Role", "Group", "LocalManagedPolicy")  # the same for both aspects, so that they share the answer


async def _roles(params: IamParams, aws: Asker) -> _Part:
    roles = [
        role
        for role in await _entries(aws, "RoleDetailList", _FILTERS)
        if not role.get("Path", "/").startswith(_OF_AWS) and params.minds(role["RoleName"])
    ]
    # AWS remembers 400 days; a role without a last use was never used, or before that
    unused = [
        role
        for role in roles
        if _idle(role.get("RoleLastUsed", {}).get("LastUsedDate"), role["CreateDate"], params, aws.now)
    ]
    names = [_since(role["RoleName"], role.get("RoleLastUsed", {}).get("LastUsedDate"), aws.now) for role in unused]
    return _Part({"roles": len(roles), "unused_roles": len(unused)}, {"Unused roles": names})


def _idle(used: datetime | None, made: datetime | None, params: IamParams, now: datetime) -> bool:
    """Not used for long enough, and there for long enough to have been."""
    since = max((moment for moment in (used, made) if moment is not None), default=None)
    return since is not None and now - since > params.unused_after


def _since(name: str, used: datetime | None, now: datetime) -> str:
    seconds = age(used, now)
    return f"{name}: never used" if seconds is None else f"{name}: last used {format_duration(seconds)} ago"


async def _users(params: IamParams, aws: Asker) -> _Part:
    root, users = await credential_report(aws)
    minded = [user for user in users if params.minds(user.name)]
    keys = [key for user in minded for key in user.keys]
    unused = [user for user in minded if _idle(user.last_used, user.created, params, aws.now)]
    unused_keys = [key for key in keys if _idle(key.used, key.made, params, aws.now)]
    old = [key for key in keys if (age(key.made, aws.now) or 0.0) > params.key_age.total_seconds()]
    bare = [user for user in minded if user.has_password and not user.mfa]
    found: Found = {
        "users": len(minded),
        "unused_users": len(unused),
        "access_keys": len(keys),
        "unused_keys": len(unused_keys),
        "old_keys": len(old),
        "oldest_key_age": max((a for key in keys if (a := age(key.made, aws.now)) is not None), default=None),
        "without_mfa": len(bare),
        "root_mfa": root.mfa if root else None,
        "root_keys": len(root.keys) if root else 0,
    }
    names = {
        "Unused users": [_since(user.name, user.last_used, aws.now) for user in unused],
        "Unused keys": [_since(f"{key.user}'s key {key.number}", key.used, aws.now) for key in unused_keys],
        "Old keys": _aged(old, aws.now),
        "Without a second factor": [user.name for user in bare],
    }
    return _Part(found, names)


def _aged(keys: Iterable[Key], now: datetime) -> list[str]:
    ranked = sorted(keys, key=lambda key: -(age(key.made, now) or 0.0))
    return [f"{key.user}'s key {key.number}: {format_duration(age(key.made, now) or 0.0)} old" for key in ranked]


async def _policies(params: IamParams, aws: Asker) -> _Part:
    wide: list[str] = []
    administrators: list[str] = []
    for policy in await _entries(aws, "Policies", _FILTERS):
        if _OWNED_BY_AWS in policy["Arn"]:
            continue
        current = [v["Document"] for v in policy.get("PolicyVersionList", ()) if v.get("IsDefaultVersion")]
        name = policy["Arn"].rpartition("/")[2]
        if params.minds(name) and any(map(allows_everything, current)):
            wide.append(f"policy {name}, attached {policy.get('AttachmentCount', 0)} times")
    for kind in ("User", "Group", "Role"):
        for owner in await _entries(aws, f"{kind}DetailList", _FILTERS):
            name = owner[f"{kind}Name"]
            if not params.minds(name) or owner.get("Path", "/").startswith(_OF_AWS):
                continue
            inline = owner.get(f"{kind}PolicyList", ())
            wide += [
                f"{kind.lower()} {name}, inline {policy['PolicyName']}"
                for policy in inline
                if allows_everything(policy["PolicyDocument"])
            ]
            attached = [policy.get("PolicyArn", "") for policy in owner.get("AttachedManagedPolicies", ())]
            if any(arn.endswith(_ADMINISTRATOR) for arn in attached):
                administrators.append(f"{kind.lower()} {name}")
    found: Found = {"wildcard_policies": len(wide), "administrators": len(administrators)}
    return _Part(found, {"Policies that allow everything": wide, "Administrators": administrators})
