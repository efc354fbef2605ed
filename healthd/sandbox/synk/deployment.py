"""What lies on the emulated Synk's machine beside its data: settings, packages, and the programs that look at them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from healthd.sandbox.parts.programs import install_program

_PROGRAMS = Path(__file__).parent / "programs"
_PYTHON = {"django": "4.2.16", "psycopg": "3.2.3", "gunicorn": "23.0.0", "redis": "5.2.0"}
_JAVASCRIPT = {"react": "18.3.1", "axios": "1.7.9", "vite": "5.4.11"}
_SAFE = {"DEBUG": "False", "ALLOWED_HOSTS": "yourdomain.com", "SESSION_COOKIE_SECURE": "True"}


class Deployment:
    """Files in `folder`. `programs` are the paths healthd has to be allowed, by their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frontend = folder / "frontend"
        binaries = folder / "bin"
        self.programs = {name: binaries / name for name in ("security-check", "pip", "pip-audit", "npm")}
        self._secret_key = secrets.token_urlsafe(64)

    def make(self) -> None:
        """Write it all: up to date, with nothing known to be vulnerable."""
        self.frontend.mkdir(parents=True)
        install_program(self.programs["security-check"], _PROGRAMS / "security_check.py", self.folder)
        for name in ("pip", "pip-audit", "npm"):
            install_program(self.programs[name], _PROGRAMS / "packages.py", self.folder, name)
        self._write("installed.json", _PYTHON)
        lock = {"name": "synk", "lockfileVersion": 3, "packages": {"": {"name": "synk"}, **_locked()}}
        (self.frontend / "package-lock.json").write_text(json.dumps(lock, indent=1))
        self.publish()
        self.warn_of()
        self.configure()

    def configure(self, **settings: str) -> None:
        """Write the settings, these of them otherwise than they should be."""
        file = self.folder / "settings.env"
        file.touch(mode=0o600)
        values = {"SECRET_KEY": self._secret_key, **_SAFE, **settings}
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def publish(self, *, python: dict[str, str] | None = None, javascript: dict[str, str] | None = None) -> None:
        """What the registries have: these versions, of all others those that are installed."""
        index = {"python": {**_PYTHON, **(python or {})}, "javascript": {**_JAVASCRIPT, **(javascript or {})}}
        self._write("index.json", index)

    def warn_of(self, *, python: tuple[dict[str, str], ...] = (), javascript: tuple[dict[str, str], ...] = ()) -> None:
        """The advisories that are known: `id`, `package`, `fixed_in`, and `severity` for JavaScript."""
        self._write("advisories.json", {"python": python, "javascript": javascript})

    def _write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content, indent=1))


def _locked() -> dict[str, dict[str, str]]:
    return {f"node_modules/{name}": {"version": version} for name, version in _JAVASCRIPT.items()}
