"""The machine beside SyncWatch's cluster: services under Docker Compose, images, and the sources with npm."""

from __future__ import annotations

import json
from pathlib import Path

from healthd.sandbox.parts.docker import Engine, Image
from healthd.sandbox.parts.programs import install_program

PROJECT = "syncwatch"


class Machine:
    """`sources` is the folder with package-lock.json, `npm` the program that audits it."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.engine = Engine(socket)
        self.engine.service(PROJECT, "postgres", image="postgres:15")
        self.engine.service(PROJECT, "redis", image="redis:7")
        self.engine.service(PROJECT, "backend", image="syncwatch/backend:2.3", depends_on=("postgres", "redis"))
        self.engine.service(PROJECT, "frontend", image="syncwatch/frontend:2.3", depends_on=("backend",))
        self.sources = folder / "sources"
        self.npm = folder / "bin" / "npm"
        self._old = Image("syncwatch/backend:1.8", 2**30, age_days=30)
        self._known = folder / "registry.json"

    async def start(self) -> None:
        """Listen, and lay the sources out."""
        self.sources.mkdir(parents=True)
        (self.sources / "package-lock.json").write_text(json.dumps({"name": "syncwatch", "lockfileVersion": 3}))
        install_program(self.npm, Path(__file__).with_name("npm.py"), self._known)
        self.publish()
        await self.engine.start()

    def publish(self, *flaws: str, outdated: int = 0) -> None:
        """What npm's registry knows of the dependencies: the severity of each advisory, how many are behind."""
        self._known.write_text(json.dumps({"outdated": outdated, "flaws": flaws}))

    def keep_old_image(self) -> None:
        """An image that nothing uses any more."""
        self.engine.images.append(self._old)

    def prune(self) -> None:
        """As `docker image prune`."""
        if self._old in self.engine.images:
            self.engine.images.remove(self._old)
