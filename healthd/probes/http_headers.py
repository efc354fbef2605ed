"""Request headers as parameters. Any of them may hold a secret, so all are treated as one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

SecretText = Annotated[SecretStr, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)]


def _sendable(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError(f"{name!r} is not a header name")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value.get_secret_value()):
            raise ValueError(f"the value of {name} holds a line break or control character")
    return headers


Headers = Annotated[Mapping[str, SecretText], AfterValidator(_sendable)]
