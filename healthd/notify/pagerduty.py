"""PagerDuty, through the Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import quote

import structlog
from pydantic import AfterValidator, Field, SecretStr

from healthd.model.incidents import ChannelError, Message
from healthd.notify import http, words
from healthd.notify.context import Context
from healthd.notify.markdown import to_plain

MAX_EVENT = 500_000  # bytes; the API refuses more than 512 kB
MAX_SUMMARY = 1024
MAX_KEY = 255
_EXPENDABLE = (
    "evidence",
    "values",
    "playbook",
    "suppressed",
    "description",
    "labels",
)  # first to go from a large event
ADVICE = MappingProxyType(
    {
        "Invalid routing key": "check the integration key of the PagerDuty service",
        "invalid key": "check the integration key of the PagerDuty service",
    }
)


_ROLLOUT = re.compile(r"\brollout\s+undo\s+(\S+)")


def _check_address(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("expected an address that begins with https://: PagerDuty shows no other")
    return url


Address = Annotated[str, AfterValidator(_check_address)]

log = structlog.get_logger("healthd.notify")


class PagerDuty:
    """Triggers and resolves alerts. All events of one incident carry its key, so PagerDuty keeps them as one alert."""

    class Options(http.Options):
        """`routing_key`: the 32 characters of an "Events API v2" integration. `url`: the European region has its own,
        https://events.eu.pagerduty.com/v2/enqueue. `links` and `images`: shown with each incident, by their titles;
        {system}, {check}, {incident} and {severity} stand for those of the incident."""

        routing_key: SecretStr = Field(min_length=1)
        url: http.SecretUrl = SecretStr("https://events.pagerduty.com/v2/enqueue")
        links: Mapping[str, Address] = Field(default_factory=dict)
        images: Mapping[str, Address] = Field(default_factory=dict)
        changes: bool = True  # whether rollouts that a diagnosis names are sent as change events

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._key, self._name = options, options.routing_key.get_secret_value(), context.name
        self._http = self._sender(options.url, context)
        change = change_url(options.url)
        self._changes = self._sender(change, context) if change and options.changes else None

    async def send(self, message: Message) -> None:
        """Trigger, acknowledge or resolve. A test triggers at severity info and resolves at once.

        PagerDuty answers 202 when it has taken an event; an event it refuses (400) is a permanent ChannelError.
        """
        body = message.body
        if message.event == "acknowledged":
            await self._enqueue(acknowledge(body))
            return
        if (body.get("update") or {}).get("kind") == "diagnosed":
            await self._tell_changes(body)
        if message.event != "resolved":
            await self._trigger(self._illustrated(trigger(body), body))
        if message.event in ("resolved", "test"):
            await self._enqueue(resolve(message.body))

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()
        if self._changes is not None:
            await self._changes.close()

    def _sender(self, url: SecretStr, context: Context) -> http.HttpSender:
        timeout = self._options.timeout
        return http.HttpSender(url, now=context.now, timeout=timeout, secrets=[self._key], advice=ADVICE)

    async def _tell_changes(self, body: Mapping[str, Any]) -> None:
        """Beside the alert: one that PagerDuty refuses does not hold up the alert."""
        for change in changes(body) if self._changes is not None else ():
            try:
                await self._enqueue(change, self._changes)
            except ChannelError as error:
                if not error.permanent:
                    raise
                log.warning("change_refused", channel=self._name, reason=error.reason)

    def _illustrated(self, event: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """With the links and images of the options."""
        links = [{"href": _placed(url, body), "text": text} for text, url in self._options.links.items()]
        images = [
            {"src": _placed(url, body), "alt": text, "href": body["incident"]["url"] or _placed(url, body)}
            for text, url in self._options.images.items()
        ]
        return event | {"links": event["links"] + links} | ({"images": images} if images else {})

    async def _trigger(self, event: dict[str, Any]) -> None:
        """An event that PagerDuty does not take is sent once more without what it can do without: a page must not fail
        for an address it does not like."""
        try:
            await self._enqueue(event)
        except ChannelError as error:
            if not error.permanent or "answered 400" not in error.reason:
                raise
            log.warning("event_refused", channel=self._name, incident=event["dedup_key"], reason=error.reason)
            await self._enqueue(bare(event))

    async def _enqueue(self, event: dict[str, Any], sender: http.HttpSender | None = None) -> None:
        accepted = await (sender or self._http).post(_bounded({"routing_key": self._key, **event}))
        if accepted.text.startswith("<"):
            raise ChannelError(f"answered {accepted.status} with a web page: this is no PagerDuty", permanent=True)


def trigger(body: Mapping[str, Any]) -> dict[str, Any]:
    """The event (without routing key) that opens the incident's alert, or brings an open one up to date."""
    incident, check, system = body["incident"], body["check"], body["system"]
    event = {
        "event_action": "trigger",
        "dedup_key": _dedup_key(incident["key"]),
        "payload": {
            "summary": _summary(body),
            "source": check["id"],
            "severity": body["pagerduty"],
            "timestamp": body["at"],
            "component": check["name"],
            "group": system["name"],
            "class": body["values"][0]["measure"] if body["values"] else "check",
            "custom_details": _details(body),
        },
        "links": _links(body),
        "client": "healthd",
    }
    return event | ({"client_url": incident["url"]} if incident["url"] else {})


def bare(event: Mapping[str, Any]) -> dict[str, Any]:
    """An alert with nothing but what every alert has."""
    payload = {name: event["payload"][name] for name in ("summary", "source", "severity")}
    return {"event_action": event["event_action"], "dedup_key": event["dedup_key"], "payload": payload}


def acknowledge(body: Mapping[str, Any]) -> dict[str, Any]:
    """The event (without routing key) that says somebody has the incident, so that nobody else is paged for it."""
    return {"event_action": "acknowledge", "dedup_key": _dedup_key(body["incident"]["key"])}


def changes(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A change event (without routing key) for each rollout that a finding suggests to take back."""
    events = []
    for finding in (body.get("diagnosis") or {}).get("findings") or ():
        if rollout := _ROLLOUT.search(finding["command"]):
            details = {"incident": body["incident"]["id"], "workload": rollout[1], "roll back with": finding["command"]}
            payload = {
                "summary": " ".join(finding["text"].split())[:MAX_SUMMARY],
                "source": body["system"]["name"],
                "timestamp": body["at"],
                "custom_details": details,
            }
            events.append({"payload": payload, "links": _links(body)})
    return events


def change_url(url: SecretStr) -> SecretStr | None:
    """Where change events go, beside where alerts do; None for an address that is not PagerDuty's own."""
    alerts, found = url.get_secret_value(), re.compile(r"/enqueue/?$")
    return SecretStr(found.sub("/change/enqueue", alerts)) if found.search(alerts) else None


def _placed(url: str, body: Mapping[str, Any]) -> str:
    places = {
        "{system}": body["system"]["name"],
        "{check}": body["check"]["name"],
        "{incident}": body["incident"]["id"],
        "{severity}": body["incident"]["severity"],
    }
    for place, value in places.items():
        url = url.replace(place, quote(value, safe=""))
    return url


def resolve(body: Mapping[str, Any]) -> dict[str, Any]:
    """The event (without routing key) that ends the incident's alert."""
    return {"event_action": "resolve", "dedup_key": _dedup_key(body["incident"]["key"])}


def _dedup_key(key: str) -> str:
    """The key itself, or one as unique where it is longer than PagerDuty takes."""
    if len(key) <= MAX_KEY:
        return key
    return f"{key[: MAX_KEY - 33]}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _summary(body: Mapping[str, Any]) -> str:
    incident, system = body["incident"], body["system"]
    if body.get("custom"):
        text = str(body["custom"]["title"])
    elif body["event"] == "test":
        text = f"Test by healthd, nothing is wrong: {incident['title']}"
    else:
        text = (
            f"[{incident['severity']}] {system['title'] or system['name']}: {incident['title']}: {incident['reason']}"
        )
    text = " ".join(text.split())
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"


def _details(body: Mapping[str, Any]) -> dict[str, Any]:
    incident, check, playbook = body["incident"], body["check"], body["playbook"]
    details = {
        "event": body["event"],
        "incident": incident["id"],
        "check": check["id"],
        "level": incident["level"],
        "severity": incident["severity"],
        "reason": incident["reason"],
        "opened_at": incident["opened_at"],
        "acknowledged_by": incident["acknowledged_by"],
        "description": check["description"],
        "labels": check["labels"],
        "values": {words.measured(value): words.reading(value) for value in body["values"]},
        "evidence": {e["title"] or "evidence": e["text"] for e in body["evidence"]},
        "playbook": _playbook(playbook) if playbook else None,
        "news": words.news(body),
        "checks": [words.together(body), *words.checks(body)] if words.checks(body) else [],
        "likely cause": words.cause(body)[0],
        "try first": words.cause(body)[1],
        "suppressed": body["suppressed"],
        "source": check["source"],
    }
    if text := words.custom_text(body):
        details["text"] = to_plain(text)
    return {name: value for name, value in details.items() if value}


def _playbook(playbook: Mapping[str, Any]) -> dict[str, Any]:
    steps = [*playbook["diagnostics"], *playbook["remediation"]]
    return {
        "title": playbook["title"] or playbook["name"],
        "likely cause": playbook["likely_cause"],
        "steps (suggested, not executed)": [
            ": ".join(part for part in (step["when"], step["title"], step["command"]) if part) for step in steps
        ],
    }


def _links(body: Mapping[str, Any]) -> list[dict[str, str]]:
    playbook = body["playbook"]
    wanted = [
        ("Incident", body["incident"]["url"]),
        ("Runbook", body["check"]["runbook_url"]),
        ("Playbook", playbook["url"] if playbook else ""),
    ]
    return [{"href": url, "text": text} for text, url in wanted if url.startswith(("http://", "https://"))]


def _bounded(event: dict[str, Any]) -> bytes:
    """The event's bytes, without its bulkiest details where they make it too large."""
    content = http.encode(event)
    details = dict(event.get("payload", {}).get("custom_details", {}))
    for name in _EXPENDABLE:
        if len(content) <= MAX_EVENT:
            break
        if details.pop(name, None) is not None:
            details["left out"] = f"{details.get('left out', '')} {name}".strip()
            content = http.encode(event | {"payload": event["payload"] | {"custom_details": details}})
    return content
