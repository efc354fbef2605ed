"""What the AWS probes have in common as parameters: which account, which region, which endpoint."""

from __future__ import annotations

import re
from collections.abc import Hashable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, SecretStr, model_validator

from healthd.probes.base import OneOrMany, Params

__all__ = ["AwsParams", "Names", "fits"]

Names = OneOrMany  # exact names or globs


def _region(name: str) -> str:
    if not re.fullmatch(r"[a-z]{2,}(-[a-z0-9]+)+", name):
        raise ValueError(f"{name!r} is not a region: expected something like eu-central-1")
    return name


def _role(arn: str) -> str:
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", arn):
        raise ValueError(f"{arn!r} is not a role: expected something like arn:aws:iam::123456789012:role/healthd")
    return arn


def _endpoint(url: str) -> str:
    if not re.fullmatch(r"https?://[^/@\s]+/?", url):
        raise ValueError("expected an endpoint such as https://s3.example.com or http://127.0.0.1:5000")
    return url.rstrip("/")


class AwsParams(Params):
    """Where and as whom to ask. Credentials themselves come from the environment, as every AWS tool takes them."""

    region: Annotated[str, AfterValidator(_region)] | None = None
    profile: str | None = None
    role_arn: Annotated[str, AfterValidator(_role)] | None = None
    external_id: SecretStr | None = None
    endpoint_url: Annotated[str, AfterValidator(_endpoint)] | None = None

    @model_validator(mode="after")
    def _id_for_a_role(self) -> AwsParams:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id goes with role_arn")
        return self

    @property
    def account(self) -> Hashable:
        """What tells one way to ask from another."""
        return (self.region, self.profile, self.role_arn, self.external_id, self.endpoint_url)


def fits(name: str, wanted: tuple[str, ...]) -> bool:
    """Whether `name` is one of those wanted; none wanted means every one."""
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)
