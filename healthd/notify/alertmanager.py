"""Prometheus' Alertmanager, through its API v2: for teams whose routing, silences and on-call are there.

Alertmanager takes an alert for over when nobody repeats it, so those that are open are sent again and again, as
Prometheus does; what is open is remembered across restarts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from healthd.model.incidents import ChannelError, Message
from healthd.model.tasks import end_tasks
from healthd.model.units import parse_duration
from healthd.notify import http, words
from healthd.notify.context import Context
from healthd.notify.markdown import to_plain
from healthd.notify.webhook import check_headers

HOLDS = 4  # repetitions that may fail before an alert counts as over
BATCH = 200  # alerts of one request
TEST_LASTS = timedelta(minutes=5)
MAX_ANNOTATION = 8_000
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SEVERITIES = {"critical": "critical", "warning": "warning", "unknown": "warning", "ok": "info"}

log = structlog.get_logger("healthd.notify")

Alert = dict[str, Any]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


def _check_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    for name in labels:
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no label's name: expected letters, digits and _")
    return labels


Labels = Annotated[Mapping[str, str], AfterValidator(_check_labels)]


class Alertmanager:
    """One alert per incident. Where its labels change, the alert under the old ones ends."""

    class Options(http.Options):
        """`url`: of Alertmanager, or of each of a cluster's. `headers`: sent along, for one behind a proxy. `labels`:
        on every alert. `resend`: how often open alerts are repeated. `watchdog`: an alert that always fires, so that
        Alertmanager's routing can tell when healthd no longer does its work."""

        url: Annotated[tuple[http.SecretUrl, ...], BeforeValidator(_several), Field(min_length=1, max_length=10)]
        headers: Annotated[Mapping[str, SecretStr], AfterValidator(check_headers)] = Field(default_factory=dict)
        labels: Labels = Field(default_factory=dict)
        resend: Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(seconds=1))] = timedelta(
            minutes=1
        )
        watchdog: bool = False

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._context = options, context
        self._headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._senders = [
            http.HttpSender(
                SecretStr(url.get_secret_value().rstrip("/") + "/api/v2/alerts"),
                now=context.now,
                timeout=options.timeout,
                secrets=self._headers.values(),
            )
            for url in options.url
        ]
        self._open: dict[str, Alert] | None = None  # by incident; None until it was asked of the memory
        self._began = context.now()
        self._repeating: asyncio.Task[None] | None = None
        self._complained = ""

    def begin(self) -> None:
        """Repeat what is open until `close`."""
        self._repeating = asyncio.create_task(self._repeat(), name=f"alerts:{self._context.name}")

    async def send(self, message: Message) -> None:
        """Post the alert as it is now; accepted when one Alertmanager takes it, the others get it with the next
        repetition. A test is an alert that ends by itself after some minutes."""
        if message.event == "test":
            alert = self._alert(message.body) | {"endsAt": _text(self._context.now() + TEST_LASTS)}
            alert["labels"] |= {"alertname": "HealthdTest", "severity": "info"}
            await self._post([alert])
            return
        known = (await self._known()).get(message.group)
        alert = self._alert(message.body)
        is_open = not message.body["incident"]["resolved_at"]
        alerts = [self._lasting(alert) if is_open else alert]
        if known and known["labels"] != alert["labels"]:
            alerts.append({**known, "endsAt": _text(self._context.now())})
        await self._post(alerts)
        await self._remember(message.group, alert, is_open)

    async def close(self) -> None:
        """Stop repeating and release connections."""
        await end_tasks([self._repeating])
        await asyncio.gather(*(sender.close() for sender in self._senders))

    # -- repeating -------------------------------------------------------------------------------------------------

    async def _repeat(self) -> None:
        while True:
            try:
                alerts = [self._lasting(alert) for alert in (await self._known()).values()]
                if self._options.watchdog:
                    alerts.append(self._watchdog())
                for start in range(0, len(alerts), BATCH):
                    await self._post(alerts[start : start + BATCH])
                self._complained = ""
            except ChannelError as error:
                self._complain(error.reason)
            except Exception as error:  # noqa: BLE001 - the memory's errors are its own; the next turn tries again
                self._complain(type(error).__name__)
            await asyncio.sleep(self._options.resend.total_seconds())

    def _complain(self, reason: str) -> None:
        """Once per reason, until it works again."""
        if reason != self._complained:
            self._complained = reason
            log.warning("alerts_not_repeated", channel=self._context.name, reason=reason)

    async def _known(self) -> dict[str, Alert]:
        if self._open is None:
            found = await self._context.memory.open(self._context.name)
            self._open = {key: _plain(alert) for key, alert in found.items()}
        return self._open

    async def _remember(self, group: str, alert: Alert, is_open: bool) -> None:
        known = await self._known()
        await self._context.memory.remember(self._context.name, group, alert, open_=is_open)
        if is_open:
            known[group] = alert
        else:
            known.pop(group, None)

    # -- what is posted --------------------------------------------------------------------------------------------

    async def _post(self, alerts: Sequence[Alert]) -> None:
        """To all. Raises ChannelError when none takes them."""
        content = http.encode(list(alerts))
        answers = await asyncio.gather(
            *(sender.post(content, self._headers) for sender in self._senders), return_exceptions=True
        )
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        for failure in failures:
            self._complain(str(failure))

    def _lasting(self, alert: Alert) -> Alert:
        """Open until some repetitions have failed."""
        return {**alert, "endsAt": _text(self._context.now() + max(self._options.resend * HOLDS, timedelta(minutes=2)))}

    def _alert(self, body: Mapping[str, Any]) -> Alert:
        incident, check = body["incident"], body["check"]
        own = {
            "alertname": check["name"],
            "system": body["system"]["name"],
            "check": check["id"],
            "severity": _SEVERITIES.get(incident["level"], "warning"),
            "priority": incident["severity"],
            "source": "healthd",
        }
        named = {re.sub(r"[^a-zA-Z0-9_]", "_", name): value for name, value in check["labels"].items()}
        labels = {**{n: v for n, v in named.items() if _LABEL.fullmatch(n)}, **self._options.labels, **own}
        if incident["resolved_at"] and (known := self._standing(incident["id"])):
            labels = dict(known["labels"])  # it ends under the labels it had
        alert: Alert = {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: text[:MAX_ANNOTATION] for name, text in _annotations(body).items() if text},
            "startsAt": incident["opened_at"],
            "generatorURL": incident["url"],
        }
        return alert | ({"endsAt": incident["resolved_at"]} if incident["resolved_at"] else {})

    def _standing(self, incident: str) -> Alert | None:
        return (self._open or {}).get(incident)

    def _watchdog(self) -> Alert:
        text = "Always firing: when this alert is missing, healthd or its way to this Alertmanager is down."
        alert: Alert = {
            "labels": {"alertname": "Watchdog", "severity": "none", "source": "healthd", **self._options.labels},
            "annotations": {"summary": "healthd works", "description": text},
            "startsAt": _text(self._began),
        }
        return self._lasting(alert)


def _annotations(body: Mapping[str, Any]) -> dict[str, str]:
    incident, check = body["incident"], body["check"]
    likely, command = words.cause(body)
    custom = body.get("custom") or {}
    return {
        "summary": str(custom.get("title") or f"{words.system_title(body)}: {incident['title']}"),
        "description": to_plain(words.custom_text(body)) or incident["reason"],
        "runbook_url": check["runbook_url"],
        "playbook_url": (body["playbook"] or {}).get("url", ""),
        "incident": incident["id"],
        "likely_cause": likely,
        "first_command": command,
        "acknowledged_by": incident["acknowledged_by"],
        "checks": "\n".join([words.together(body), *words.checks(body)]).strip(),
        "values": "\n".join(f"{words.measured(value)}: {words.reading(value)}" for value in body["values"][:20]),
    }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _plain(remembered: Mapping[str, Any]) -> Alert:
    return {name: remembered[name] for name in ("labels", "annotations", "startsAt", "generatorURL")}
