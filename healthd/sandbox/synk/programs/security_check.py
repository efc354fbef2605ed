"""The emulated Synk's pre-deployment-security-check.sh: looks at the settings and files of the deployment.

Called as security_check.py FOLDER: FOLDER holds `settings.env`, and the folders `tls` and `backups`. Exit code 1 when
a check fails.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from pathlib import Path

_KEY_LENGTH = 50


def read_settings(file: Path) -> dict[str, str]:
    """The variables of a file with NAME=value lines."""
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in lines}


def findings(folder: Path) -> dict[str, bool]:
    """Each check and whether it passes."""
    settings = read_settings(folder / "settings.env")
    keys = list((folder / "tls").glob("*.key"))
    return {
        "DEBUG is off": settings.get("DEBUG") == "False",
        f"SECRET_KEY has {_KEY_LENGTH} characters or more": len(settings.get("SECRET_KEY", "")) >= _KEY_LENGTH,
        "ALLOWED_HOSTS names the hosts": _named(settings),
        "cookies are sent over TLS only": settings.get("SESSION_COOKIE_SECURE") == "True",
        "settings.env is its owner's alone": _private(folder / "settings.env"),
        "private keys are their owner's alone": bool(keys) and all(map(_private, keys)),
        "backups are not for everybody": not (folder / "backups").stat().st_mode & stat.S_IWOTH,
    }


def _named(settings: Mapping[str, str]) -> bool:
    return settings.get("ALLOWED_HOSTS", "*") not in ("", "*")


def _private(path: Path) -> bool:
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def main(argv: list[str]) -> int:
    """Print what passes and what fails."""
    found = findings(Path(argv[0]))
    for name, passes in found.items():
        sys.stdout.write(f"{'PASS' if passes else 'FAIL'}  {name}\n")
    return int(not all(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
