"""The child process: moto behind what corrects it, on one port; on another, the door through which scenes are set.

    python -m healthd.sandbox.parts.aws.server PORT STAGE_PORT

The stage's requests are JSON: {"part": "metrics", "do": "put", "with": {...}}; the answer is {"result": ...} or
{"error": ...}. The parts "aws" (any operation, asked with boto3) and "door" (open, close) are there besides those of
`AwsServer`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

from healthd.sandbox.parts.aws.alterations import Alterations
from healthd.sandbox.parts.aws.costs import Costs
from healthd.sandbox.parts.aws.database_logs import DatabaseLogs
from healthd.sandbox.parts.aws.logs import Logs
from healthd.sandbox.parts.aws.metrics import Metrics
from healthd.sandbox.parts.aws.snapshots import Snapshots
from healthd.sandbox.parts.aws.wire import (
    Asked,
    Refusal,
    Response,
    parse_answer,
    read_request,
    refuse,
    rest_operation,
    write_answer,
)

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

_HOST, _REGION, _KEY = "127.0.0.1", "us-east-1", "sandbox"
Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class AwsServer:
    """The WSGI application of the endpoint."""

    def __init__(self, moto: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._moto = moto
        self.alterations = Alterations(_now)
        self.metrics, self.logs, self.costs = Metrics(_now), Logs(_now), Costs(_now)
        self.database_logs, self.snapshots = DatabaseLogs(_now), Snapshots(_now)

        # who answers for moto, and for which requests
        self._answers: dict[tuple[str, str], tuple[Callable[[Mapping[str, Any]], bool], Answer]] = {
            ("cloudwatch", "GetMetricData"): (self.metrics.knows, self.metrics.get_metric_data),
            ("ce", "GetCostAndUsage"): (_always, self.costs.get_cost_and_usage),
            ("ce", "GetCostForecast"): (_always, self.costs.get_cost_forecast),
            ("logs", "DescribeLogGroups"): (_always, self.logs.describe_log_groups),
            ("logs", "FilterLogEvents"): (self.logs.knows, self.logs.filter_log_events),
            ("logs", "StartQuery"): (_always, self.logs.start_query),
            ("logs", "GetQueryResults"): (_always, self.logs.get_query_results),
            ("rds", "DescribePendingMaintenanceActions"): (_always, lambda _: {"PendingMaintenanceActions": []}),
            ("rds", "DescribeDBSnapshots"): (self.snapshots.knows, self.snapshots.describe_db_snapshots),
            ("rds", "DescribeDBLogFiles"): (self.database_logs.knows, self.database_logs.describe_db_log_files),
            ("rds", "DownloadDBLogFilePortion"): (
                self.database_logs.knows,
                self.database_logs.download_db_log_file_portion,
            ),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """What is known better here; moto's answer, altered; or moto's answer."""
        asked = read_request(environ)
        if not asked.operation and asked.service in self.alterations.services:
            asked = Asked(asked.service, rest_operation(asked, environ), asked.parameters)
        response = self._respond(asked, environ)
        if response is None:
            return self._moto(environ, start_response)
        status, headers, body = response
        headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        start_response(f"{status} Answered", [*headers.items(), ("Content-Length", str(len(body)))])
        return [body]

    def _respond(self, asked: Asked, environ: WSGIEnvironment) -> Response | None:
        if (refusal := self.alterations.refusal(asked.service, asked.operation)) is not None:
            return refuse(asked, refusal)
        if (answer := self._own(asked)) is not None:
            try:
                return write_answer(asked, answer(asked.parameters))
            except Refusal as refused:
                return refuse(asked, refused)
        if not self.alterations.touch(asked.service, asked.operation):
            return None
        response = self._of_moto(environ)
        if response[0] >= 300:
            return response
        result = parse_answer(asked, response)
        self.alterations.apply(asked.service, asked.operation, result)
        return write_answer(asked, result)

    def _own(self, asked: Asked) -> Answer | None:
        """Who answers here for moto: for what was put on the stage."""
        known = self._answers.get((asked.service, asked.operation))
        return known[1] if known is not None and known[0](asked.parameters) else None

    def _of_moto(self, environ: WSGIEnvironment) -> Response:
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            told[:] = [int(status.split(maxsplit=1)[0]), dict(headers)]
            return lambda _: None

        body = b"".join(self._moto(environ, start))
        return told[0], told[1], body


class Stage:
    """The WSGI application of the other port: one request at a time."""

    def __init__(self, server: AwsServer, door: Door) -> None:
        self._server, self._door = server, door
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Do what is asked."""
        asked = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            with self._lock:
                said = {"result": self._do(asked["part"], asked["do"], asked["with"])}
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked has to know
            said = {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(said, default=str).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _do(self, part: str, do: str, given: Mapping[str, Any]) -> Any:
        if part == "aws":
            return self._call(do, given)
        return getattr(self._door if part == "door" else getattr(self._server, part), do)(**given)

    def _call(self, operation: str, given: Mapping[str, Any]) -> Any:
        """`operation` is "service.method" as boto3 has it."""
        import boto3

        service, _, method = operation.partition(".")
        region = given.get("region", _REGION)
        if (service, region) not in self._clients:
            keys = {"aws_access_key_id": _KEY, "aws_secret_access_key": _KEY, "region_name": region}
            self._clients[service, region] = boto3.client(service, endpoint_url=self._door.url, **keys)
        answer = getattr(self._clients[service, region], method)(**given.get("request", {}))
        answer.pop("ResponseMetadata", None)
        return answer


class Door:
    """The endpoint's port: open, or closed as if nobody were there."""

    def __init__(self, server: AwsServer, port: int) -> None:
        self._application, self._port = server, port
        self._serving: BaseWSGIServer | None = None
        self.url = f"http://{_HOST}:{port}"

    def open(self) -> None:
        """Listen."""
        if self._serving is None:
            self._serving = _listen(self._application, self._port)
            threading.Thread(target=self._serving.serve_forever, name="endpoint", daemon=True).start()

    def close(self) -> None:
        """Refuse connections; everything that is there stays."""
        if self._serving is not None:
            self._serving.shutdown()
            self._serving.server_close()
            self._serving = None


def _listen(application: Any, port: int) -> BaseWSGIServer:
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    return make_server(_HOST, port, application, threaded=True, request_handler=MotoRequestHandler)


def _always(_: Mapping[str, Any]) -> bool:
    return True


def _now() -> datetime:
    return datetime.now(UTC)


def main(port: int, stage_port: int) -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = AwsServer(DomainDispatcherApplication(create_backend_app))
    door = Door(server, port)
    door.open()
    _listen(Stage(server, door), stage_port).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
