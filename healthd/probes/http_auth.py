"""How probes that speak HTTP prove who they are."""

from __future__ import annotations

from base64 import b64encode

from pydantic import SecretStr, model_validator

from healthd.probes.base import Params


class BasicAuth(Params):
    """User name and password."""

    username: str
    password: SecretStr


class HttpAuth(Params):
    """`basic: {username, password}` or `bearer: token`."""

    basic: BasicAuth | None = None
    bearer: SecretStr | None = None

    @model_validator(mode="after")
    def _one(self) -> HttpAuth:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("give one of basic: {username, password} and bearer: token")
        return self

    def header(self) -> str:
        """The value of the Authorization header: a secret."""
        if self.bearer is not None:
            return f"Bearer {self.bearer.get_secret_value().strip()}"
        assert self.basic is not None
        pair = f"{self.basic.username}:{self.basic.password.get_secret_value()}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be shown."""
        words = [self.header().split(" ", 1)[1]]
        if self.basic is not None:
            words.append(self.basic.password.get_secret_value())
        return tuple(words)
