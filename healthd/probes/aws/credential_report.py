"""IAM's credential report: a CSV file of all users, their passwords and keys, which AWS makes on request."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from healthd.probes.aws.errors import AwsError
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.probe import Asker
from healthd.probes.base import ProbeError

__all__ = ["CREDENTIAL_REPORT", "GENERATE_REPORT", "Key", "User", "credential_report"]

CREDENTIAL_REPORT = Operation("iam", "get_credential_report", "iam:GetCredentialReport")
GENERATE_REPORT = Operation("iam", "generate_credential_report", "iam:GenerateCredentialReport")
_NOT_THERE = frozenset({"ReportNotPresent", "ReportExpired", "ReportInProgress", "CredentialReportNotPresentException",
                        "CredentialReportExpiredException", "CredentialReportNotReadyException"})  # fmt: skip
_ROOT = "<root_account>"
_PAUSE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Key:
    """An active access key: the first or second of its user; when it was made and last used."""

    user: str
    number: int
    made: datetime | None
    used: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A line of the report. `last_used`: of the password or an active key, the latest."""

    name: str
    created: datetime | None
    has_password: bool
    mfa: bool
    last_used: datetime | None
    keys: tuple[Key, ...]


async def credential_report(aws: Asker) -> tuple[User | None, list[User]]:
    """The root user (None if it is not in the report) and all others. At most four hours old."""
    content = await aws.context.once(("aws credential report", aws.account.params.account), lambda: _content(aws))
    try:
        users = [_user(line) for line in csv.DictReader(io.StringIO(content))]
    except (KeyError, ValueError) as error:
        raise ProbeError(f"the credential report cannot be read: {error}", "protocol") from None
    root = next((user for user in users if user.name == _ROOT), None)
    return root, [user for user in users if user.name != _ROOT]


async def _content(aws: Asker) -> str:
    while True:  # until the check's time is over
        try:
            [answer] = await aws.reduce(CREDENTIAL_REPORT, list, {})
            content = answer["Content"]
            return content.decode() if isinstance(content, bytes) else str(content)
        except AwsError as error:
            if error.code not in _NOT_THERE:
                raise
        await aws.reduce(GENERATE_REPORT, list, {})
        await asyncio.sleep(_PAUSE)


def _user(line: Mapping[str, str]) -> User:
    name = line["user"]
    keys = tuple(_key(name, number, line) for number in (1, 2) if line[f"access_key_{number}_active"] == "true")
    uses = [_moment(line["password_last_used"]), *(key.used for key in keys)]
    return User(
        name,
        _moment(line["user_creation_time"]),
        line["password_enabled"] == "true",  # noqa: S105 - a column of the report
        line["mfa_active"] == "true",
        max((moment for moment in uses if moment), default=None),
        keys,
    )


def _key(name: str, number: int, line: Mapping[str, str]) -> Key:
    made, used = line[f"access_key_{number}_last_rotated"], line[f"access_key_{number}_last_used_date"]
    return Key(name, number, _moment(made), _moment(used))


def _moment(text: str) -> datetime | None:
    """None for N/A, no_information and not_supported."""
    if not text[:1].isdigit():
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
