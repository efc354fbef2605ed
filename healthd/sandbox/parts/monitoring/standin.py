"""Where Prometheus is not installed: a stand-in with its HTTP API, for the queries a catalogue is likely to ask."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from prometheus_client.parser import text_string_to_metric_families

from healthd.model.units import UnitError, parse_duration
from healthd.sandbox.child import free_port
from healthd.sandbox.parts.monitoring.evaluation import Value, evaluate
from healthd.sandbox.parts.monitoring.rules import HOLD_SECONDS, SCRAPE_SECONDS, Rule
from healthd.sandbox.parts.monitoring.samples import Labels, Samples
from healthd.sandbox.parts.monitoring.syntax import QueryError, parse


@dataclass
class _Alert:
    """A rule with a result: pending until it held, then firing."""

    labels: dict[str, str]
    annotations: dict[str, str]
    since: float
    value: float = 0.0

    def state(self, now: float) -> str:
        return "firing" if now - self.since >= HOLD_SECONDS else "pending"

    def as_sample(self, now: float) -> tuple[str, Labels, float]:
        """The series that Prometheus keeps of each active alert."""
        return "ALERTS", {**self.labels, "alertstate": self.state(now)}, 1.0

    def as_json(self, now: float) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "annotations": self.annotations,
            "state": self.state(now),
            "activeAt": datetime.fromtimestamp(self.since, UTC).isoformat().replace("+00:00", "Z"),
            "value": _number(self.value),
        }


class StandIn:
    """Scrapes each job's /metrics on its port, evaluates the alert rules, answers query, query_range and alerts."""

    description = "a stand-in for Prometheus, which is not installed here"

    def __init__(self, targets: Mapping[str, int], rules: Sequence[Rule] = ()) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._targets = [{"job": job, "instance": f"127.0.0.1:{port}"} for job, port in targets.items()]
        self._samples = Samples()
        self._troubles: dict[str, str] = {}  # by instance: why its last scrape failed, "" when it went well
        self._alerts: dict[tuple[str, frozenset[tuple[str, str]]], _Alert] = {}
        self._rules = [(rule, parse(rule.expr)) for rule in rules]
        self._runner: web.AppRunner | None = None
        self._scraping: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen and begin to scrape."""
        application = web.Application()
        for path, handler in {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._query_range,
            "/api/v1/alerts": self._active_alerts,
            "/api/v1/rules": self._alert_rules,
            "/api/v1/targets": self._active_targets,
            "/-/ready": self._ready,
            "/-/healthy": self._ready,
        }.items():
            application.router.add_route("*", path, _answer(handler))
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self._scraping = asyncio.create_task(self._scrape_forever())

    async def stop(self) -> None:
        """Stop scraping and listening."""
        if self._scraping is not None:
            self._scraping.cancel()
            with suppress(asyncio.CancelledError):
                await self._scraping
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        self._troubles.clear()

    async def _scrape_forever(self) -> None:
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            while True:
                started = time.time()
                await asyncio.gather(*(self._scrape(session, target, started) for target in self._targets))
                self._evaluate_rules(started)
                await asyncio.sleep(max(0.1, SCRAPE_SECONDS - (time.time() - started)))

    async def _scrape(self, session: ClientSession, target: Labels, at: float) -> None:
        try:
            async with session.get(f"http://{target['instance']}/metrics") as response:
                response.raise_for_status()
                text = await response.text()
        except (ClientError, TimeoutError) as error:
            self._troubles[target["instance"]] = str(error) or "no answer in time"
            self._samples.add(at, [("up", target, 0.0)])
            return
        self._troubles[target["instance"]] = ""
        self._samples.add(at, [("up", target, 1.0), *_exposed(text, target)])

    def _evaluate_rules(self, now: float) -> None:
        active = {}
        for rule, tree in self._rules:
            value = evaluate(tree, self._samples, now)
            for sample in value if isinstance(value, list) else []:
                labels = {**sample.labels, "alertname": rule.alert, "severity": rule.severity}
                labels.pop("__name__", None)
                key = (rule.alert, frozenset(labels.items()))
                alert = self._alerts.get(key) or _Alert(labels, {"summary": rule.summary}, now)
                alert.value = sample.value
                active[key] = alert
        self._alerts = active
        self._samples.add(now, (alert.as_sample(now) for alert in active.values()))

    async def _query(self, parameters: dict[str, str]) -> dict[str, Any]:
        at = _moment(parameters.get("time"))
        value = evaluate(parse(parameters.get("query", "")), self._samples, at)
        if isinstance(value, float):
            return {"resultType": "scalar", "result": [at, _number(value)]}
        result = [{"metric": dict(s.labels), "value": [at, _number(s.value)]} for s in value]
        return {"resultType": "vector", "result": result}

    async def _query_range(self, parameters: dict[str, str]) -> dict[str, Any]:
        tree = parse(parameters.get("query", ""))
        start, end = _moment(parameters.get("start")), _moment(parameters.get("end"))
        step = _seconds(parameters.get("step", "15"))
        if step <= 0 or end < start or (end - start) / step > 11_000:
            raise QueryError("start, end and step: expected start before end and at most 11000 steps")
        series: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
        for number in range(int((end - start) / step) + 1):
            at = start + number * step
            for labels, value in _flat(evaluate(tree, self._samples, at)):
                entry = series.setdefault(frozenset(labels.items()), {"metric": dict(labels), "values": []})
                entry["values"].append([at, _number(value)])
        return {"resultType": "matrix", "result": list(series.values())}

    async def _active_alerts(self, _: dict[str, str]) -> dict[str, Any]:
        now = time.time()
        return {"alerts": [alert.as_json(now) for alert in self._alerts.values()]}

    async def _alert_rules(self, _: dict[str, str]) -> dict[str, Any]:
        rules = [
            {"name": rule.alert, "query": rule.expr, "duration": HOLD_SECONDS, "type": "alerting", "health": "ok"}
            for rule, _ in self._rules
        ]
        return {"groups": [{"name": "sandbox", "file": "", "interval": SCRAPE_SECONDS, "rules": rules}]}

    async def _active_targets(self, _: dict[str, str]) -> dict[str, Any]:
        return {"activeTargets": [self._target(target) for target in self._targets], "droppedTargets": []}

    def _target(self, target: dict[str, str]) -> dict[str, Any]:
        trouble = self._troubles.get(target["instance"])
        return {
            "labels": target,
            "scrapePool": target["job"],
            "scrapeUrl": f"http://{target['instance']}/metrics",
            "health": "unknown" if trouble is None else "down" if trouble else "up",
            "lastError": trouble or "",
        }

    async def _ready(self, _: dict[str, str]) -> dict[str, Any]:
        return {}


def _answer(
    handler: Callable[[dict[str, str]], Awaitable[dict[str, Any]]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Prometheus's envelope around an answer or an error; parameters from the address or a form."""

    async def answer(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            data = await handler({**request.query, **form})
        except QueryError as error:
            body = {"status": "error", "errorType": "bad_data", "error": str(error)}
            return web.json_response(body, status=400)
        return web.json_response({"status": "success", "data": data})

    return answer


def _exposed(text: str, target: Labels) -> Iterable[tuple[str, Labels, float]]:
    """The samples of a scrape, with the target's labels where they bring none of their own."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, {**target, **sample.labels}, sample.value


def _flat(value: Value) -> Iterable[tuple[Labels, float]]:
    if isinstance(value, float):
        return [({}, value)]
    return [(sample.labels, sample.value) for sample in value]


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise QueryError(f"{text!r} is not a time") from None


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except UnitError as error:
        raise QueryError(str(error)) from None


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))
