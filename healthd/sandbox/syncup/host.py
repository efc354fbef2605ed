"""SyncUp's server as files: the environment its service is started with, and npm."""

from __future__ import annotations

import json
from pathlib import Path

from healthd.sandbox.parts.programs import install_program

_ENVIRONMENT = {
    "DATABASE_URL": "postgresql://syncup:not-for-humans@127.0.0.1:5432/syncup",
    "DATABASE_SSL": "true",
    "NEXTAUTH_SECRET": "not-for-humans",
    "NEXTAUTH_URL": "https://syncup.example.com",
    "JWT_SECRET": "not-for-humans",
    "OPENAI_API_KEY": "not-for-humans",
    "SLACK_BOT_TOKEN": "not-for-humans",
    "SLACK_SIGNING_SECRET": "not-for-humans",
    "GOOGLE_CLIENT_ID": "syncup.apps.example.com",
    "GOOGLE_CLIENT_SECRET": "not-for-humans",
    "LOG_LEVEL": "info",
    "SENTRY_DSN": "https://sentry.example.com/1",
    "DATADOG_API_KEY": "not-for-humans",
}
_SEVERITIES = ("info", "low", "moderate", "high", "critical")


class Host:
    """`env_file` is what the service is started with, `source` its folder, `npm` a program that audits it."""

    def __init__(self, folder: Path) -> None:
        self.env_file = folder / "production.env"
        self.source = folder / "source"
        self.npm = folder / "bin" / "npm"
        self._advisories = folder / "advisories.json"
        self._variables: dict[str, str | None] = dict(_ENVIRONMENT)

    def start(self) -> None:
        """Write the files."""
        self.source.mkdir(parents=True)
        (self.source / "package-lock.json").write_text('{"name": "syncup", "lockfileVersion": 3, "packages": {}}')
        install_program(self.npm, Path(__file__).with_name("npm.py"), self._advisories)
        self.set_variables()
        self.find_vulnerabilities()

    def set_variables(self, **changed: str | None) -> None:
        """Write the environment file anew, with these changed (None: not there at all)."""
        self._variables |= changed
        lines = [f"{name}={value}" for name, value in self._variables.items() if value is not None]
        self.env_file.write_text("\n".join(lines) + "\n")
        self.env_file.chmod(0o600)

    def reset_variable(self, name: str) -> None:
        """Write it as it should be."""
        self.set_variables(**{name: _ENVIRONMENT[name]})

    def find_vulnerabilities(self, **found: int) -> None:
        """What an audit finds, by severity."""
        counts = {name: found.get(name, 0) for name in _SEVERITIES}
        self._advisories.write_text(json.dumps({**counts, "total": sum(counts.values())}))
