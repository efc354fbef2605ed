"""`${VAR}` in catalogue files: substitution, mounted secret files, and which values must never be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from healthd.catalogue.problems import RefusedError

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|WEBHOOK|CREDENTIAL", re.IGNORECASE)
_USERINFO = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#\s:@]*):([^/?#\s]*)@")


class MissingVariableError(Exception):
    """A variable that is not set and has no default."""


def passwords_in(text: str) -> set[str]:
    """The password of a URL with user information, as written and decoded.

    Not one that is the user's name: masked, every message about that user would tell it.
    """
    match = _USERINFO.match(text)
    if match is None or unquote(match[1]) == unquote(match[2]):
        return set()
    return {match[2], unquote(match[2])} - {""}


class Environment:
    """The variables a catalogue may use. `NAME_FILE` names a file that holds the value when `NAME` is not set.

    `secrets` gathers substituted values whose name or form tells that they must not be shown; `used` everything
    that was asked for, by name.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.used: dict[str, str] = {}
        self.secrets: set[str] = set()

    def substitute(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text with its variables filled in, and the names of those that are missing (filled in as nothing).

        Raises RefusedError for a reference that cannot be read or a `_FILE` that cannot be opened.
        """
        missing: list[str] = []

        def fill(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if match[1] is None:
                raise RefusedError(
                    "a variable reference that cannot be read",
                    "expected ${NAME} or ${NAME:-default}; $${ is a plain ${",
                )
            try:
                return self._value(match[1], match[2])
            except MissingVariableError:
                missing.append(match[1])
                return ""

        return _REFERENCE.sub(fill, text), tuple(missing)

    def _value(self, name: str, default: str | None) -> str:
        value = self._variables.get(name)
        if value is None:
            value = self._from_file(name)
        if default is not None and not value:
            value = default
        if value is None:
            raise MissingVariableError(name)
        self.used[name] = value
        if value and _SECRET_NAME.search(name):
            self.secrets |= passwords_in(value) or {value}
        else:
            self.secrets |= passwords_in(value)
        return value

    def _from_file(self, name: str) -> str | None:
        path = self._variables.get(name + "_FILE")
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise RefusedError(f"{name}_FILE: cannot read {path}: {reason}") from None
