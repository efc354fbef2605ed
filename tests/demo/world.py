"""The made-up company as a running healthd."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from healthd.loading import load_catalogue
from healthd.settings import Settings
from healthd.store import SqlStore
from tests.demo.courses import BY_ID
from tests.demo.past import Past
from tests.demo.systems import catalogues
from tests.e2e.daemon import Daemon
from tests.servers.receiver import Answer, Receiver, Request

TOKEN_SECRET = "whsec_" + "c2VjcmV0" * 4


class World:
    """A daemon with a month behind it. `broken`: ids of the checks whose values are bad now."""

    def __init__(self, folder: Path, apart: timedelta = timedelta(hours=6), **settings: str) -> None:
        self.receiver = Receiver()
        self.broken: set[str] = set()
        self._apart = apart
        self._began = datetime.now(UTC)
        self.receiver.start()
        self.receiver.decide(self._answer)
        texts = catalogues(self.receiver.url)
        told = {
            "slack_webhook_url": f"{self.receiver.url}/slack",
            "webhook_url": f"{self.receiver.url}/webhook",
            "webhook_secret": TOKEN_SECRET,
        }
        self.daemon = Daemon(folder, texts["shop"], **{"public_status": "true", **told, **settings})
        for name, text in texts.items():
            system = folder / "checks" / name
            system.mkdir(parents=True, exist_ok=True)
            (system / "system.yaml").write_text(text)

    def start(self) -> World:
        """Write the past, begin the present."""
        asyncio.run(self._remember())
        self.daemon.start(60)
        return self

    def stop(self) -> None:
        """End what was started."""
        self.daemon.stop(signal.SIGKILL)
        self.daemon.http.close()
        self.receiver.stop()

    def __enter__(self) -> World:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _answer(self, request: Request) -> Answer | None:
        look = BY_ID.get(request.path.strip("/"))
        if look is None:
            return None
        value = look.course.at(datetime.now(UTC), look.id, self._began)
        if look.id in self.broken and look.broken is not None:
            value = look.broken
        return (200, {"Content-Type": "application/json"}, json.dumps({"value": value}))

    async def _remember(self) -> None:
        settings = Settings(checks=(str(self.daemon.folder / "checks"),))
        store = SqlStore(f"sqlite:///{self.daemon.folder / 'healthd.db'}")
        await store.open()
        try:
            await Past(store, load_catalogue(settings), self._began, self._apart).fill()
        finally:
            await store.close()
