"""Secrets, and who may do what: roles, users with keys, policies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthd.sandbox.parts.aws.account import Aws

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_COLUMNS = (
    *("user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed"),
    *("password_next_rotation", "mfa_active"),
    *("access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date"),
    *("access_key_1_last_used_region", "access_key_1_last_used_service"),
    *("access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date"),
    *("access_key_2_last_used_region", "access_key_2_last_used_service"),
    *("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"),
)


class Identity:
    """Secrets Manager and IAM."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._keys: dict[str, timedelta | None] = {}  # user: age of the active key

    async def secret(self, name: str, *, rotated: timedelta) -> None:
        """Make a secret that was rotated so long ago."""
        await self._aws.call("secretsmanager.create_secret", Name=name, SecretString="not for humans")
        await self.rotated(name, rotated)

    async def rotated(self, name: str, ago: timedelta) -> None:
        """When a secret was rotated."""
        moment = {"ago": ago.total_seconds()}
        await self._aws.alter(
            "secretsmanager", "ListSecrets", {"Name": name},
            LastRotatedDate=moment, LastChangedDate=moment, CreatedDate=moment, LastAccessedDate={"ago": 3600},
            RotationEnabled=True,
        )  # fmt: skip

    async def role(self, name: str, *, used: timedelta | None = timedelta(hours=1)) -> None:
        """Make a role that was used so long ago, or never, and is a year old."""
        await self._aws.call("iam.create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
        await self.used(name, used)

    async def used(self, name: str, ago: timedelta | None) -> None:
        """When a role was used the last time; None: never."""
        last: Any = {}
        year = {"ago": 365 * 86_400}
        if ago is not None:
            last = {"LastUsedDate": {"ago": ago.total_seconds()}, "Region": "us-east-1"}
        operation = "GetAccountAuthorizationDetails"
        await self._aws.alter("iam", operation, {"RoleName": name}, RoleLastUsed=last, CreateDate=year)

    async def policy(self, name: str, document: dict[str, Any]) -> str:
        """Make a policy of one's own. Its ARN."""
        made = await self._aws.call("iam.create_policy", PolicyName=name, PolicyDocument=json.dumps(document))
        return str(made["Policy"]["Arn"])

    async def remove_policy(self, arn: str) -> None:
        """Delete it."""
        await self._aws.call("iam.delete_policy", PolicyArn=arn)

    async def user(self, name: str, *, key: timedelta | None = timedelta(days=10)) -> None:
        """A user in the credential report, with an active key of that age (None: without one), used lately.

        The same name once more changes that user.
        """
        self._keys[name] = key
        now = datetime.now(UTC)
        lines = [",".join(_COLUMNS), _line("<root_account>", now - timedelta(days=900), None, now)]
        lines += [_line(user, now - timedelta(days=400), age, now) for user, age in self._keys.items()]
        content = "\n".join(lines)
        await self._aws.alter("iam", "GetCredentialReport", {"ReportFormat": "text/csv"}, Content=content)


def _line(name: str, created: datetime, key: timedelta | None, now: datetime) -> str:
    """A user of the report: no password, a second factor, at most one key that was used an hour ago."""
    values = dict.fromkeys(_COLUMNS, "N/A") | {
        "user": name,
        "arn": f"arn:aws:iam::123456789012:user/{name}",
        "user_creation_time": created.isoformat(timespec="seconds"),
        "password_enabled": "false",
        "mfa_active": "true",
        "access_key_1_active": str(key is not None).lower(),
        "access_key_2_active": "false",
        "cert_1_active": "false",
        "cert_2_active": "false",
    }
    if key is not None:
        values["access_key_1_last_rotated"] = (now - key).isoformat(timespec="seconds")
        values["access_key_1_last_used_date"] = (now - timedelta(hours=1)).isoformat(timespec="seconds")
    return ",".join(values.values())
