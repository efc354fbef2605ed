"""Everything else: Opsgenie, Discord, Telegram, SMS and a hundred services more, through the library Apprise."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib.util import find_spec
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from healthd.model.incidents import ChannelError, Message
from healthd.model.redact import Redactor
from healthd.notify import words
from healthd.notify.context import Context
from healthd.notify.options import Options as Common
from healthd.notify.options import Rate, parse_rate

THREADS = 2
MAX_TITLE = 250
MAX_TEXT = 8_000
MAX_REASON = 300
MISSING = "the library is not installed: pip install 'healthd[apprise]'"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_TYPES = MappingProxyType({"critical": "failure", "warning": "warning", "unknown": "warning", "ok": "success"})


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


def _check_urls(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if find_spec("apprise") is None:
        raise ValueError(MISSING)
    for url in urls:
        if not _SCHEME.fullmatch(url.get_secret_value()):
            raise ValueError("not an address of Apprise's: expected scheme://..., such as opsgenie://KEY")
    return urls


class Apprise:
    """Sends plain text to one or several services. A message counts as told when all of them took it."""

    class Options(Common):
        """`urls`: addresses as Apprise writes them; they hold keys, so they are secrets."""

        urls: Annotated[
            tuple[SecretStr, ...],
            BeforeValidator(_several),
            AfterValidator(_check_urls),
            Field(min_length=1, max_length=20),
        ]
        rate: Annotated[Rate | None, BeforeValidator(parse_rate)] = Rate(1, timedelta(seconds=1))

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._context = options, context
        self._urls = [url.get_secret_value() for url in options.urls]
        parts = [part for url in self._urls for part in re.split(r"[/:@?&=]+", url) if len(part) >= 6]
        self._redact = Redactor([*self._urls, *parts])
        self._threads: ThreadPoolExecutor | None = None

    async def send(self, message: Message) -> None:
        """Hand it to Apprise, which says only whether it went well; its log says more."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="healthd-apprise")
        title, text, kind = words.headline(message.body), words.plain(message.body), _kind(message)
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._notify, title, text, kind)
        seconds = self._options.timeout.total_seconds()
        try:
            reason = await asyncio.wait_for(asyncio.shield(work), seconds)
        except TimeoutError:
            work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise ChannelError(f"the service did not answer within {seconds:g} s") from None
        if reason:
            raise ChannelError(self._redact(reason)[:MAX_REASON])

    async def close(self) -> None:
        """Apprise keeps no connection."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _notify(self, title: str, text: str, kind: str) -> str:
        """In a thread: why it was not taken, "" when it was."""
        import apprise

        service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="healthd", async_mode=False))
        for index, url in enumerate(self._urls):
            if not service.add(url):
                return f"Apprise does not understand address {index + 1}: see its documentation for that service"
        with apprise.LogCapture(level=apprise.logging.WARNING) as said:  # type: ignore[no-untyped-call]
            taken = service.notify(
                body=text[:MAX_TEXT] or title, title=title[:MAX_TITLE], notify_type=kind, body_format="text"
            )
            lines = said.getvalue() if said is not None else ""
        return "" if taken else f"not taken: {_last(lines) or 'Apprise does not say why'}"


def _kind(message: Message) -> str:
    """Apprise's: info, success, warning or failure."""
    body = message.body
    if words.is_notice(body) or body["event"] in ("test", "acknowledged"):
        return "info"
    return "success" if body["incident"]["resolved_at"] else _TYPES.get(body["incident"]["level"], "warning")


def _last(lines: str) -> str:
    found = [line for line in lines.splitlines() if line.strip()]
    text = re.sub(r"^\S+ \S+ - \w+ - ", "", found[-1]) if found else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
