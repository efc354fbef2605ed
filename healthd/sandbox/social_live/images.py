"""Images of the emulated Social Live, and the program that scans them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from healthd.sandbox.parts.programs import install_program

_SCRIPT = Path(__file__).parent / "programs" / "trivy.py"
_IMAGES = {
    "sociallive/backend:latest": {"openssl": "3.1.7", "express": "4.21.2", "node": "18.20.5"},
    "sociallive/frontend:latest": {"openssl": "3.1.7", "next": "14.2.20", "node": "18.20.5"},
}


class Images:
    """What each image holds and what is known to be vulnerable, in `folder`; `trivy` is the program's path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trivy = folder / "bin" / "trivy"

    def make(self) -> None:
        """Write it all, with nothing known to be vulnerable."""
        self.folder.mkdir(parents=True)
        install_program(self.trivy, _SCRIPT, self.folder)
        self._write("images.json", _IMAGES)
        self.warn_of()

    def warn_of(self, *advisories: dict[str, str]) -> None:
        """The advisories that are known: `id`, `package`, `fixed_in`, `severity`."""
        self._write("advisories.json", advisories)

    def _write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content, indent=1))
