"""A stand-in for a node's kubelet: the API server fetches containers' logs from it over TLS, as from a real one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme


class Kubelet:
    """Logs by (namespace, pod, container, previous). `requests` are the queries as they came."""

    def __init__(self, folder: Path) -> None:
        self.logs: dict[tuple[str, str, str, bool], bytes] = {}
        self.requests: list[dict[str, str]] = []
        certificate = folder / "kubelet.pem"
        issued = trustme.CA().issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def node_status(self) -> dict[str, Any]:
        """What a node says so that the API server finds this kubelet."""
        return {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
        }

    def write(self, namespace: str, pod: str, text: str, *, previous: bool = False) -> None:
        """Set the log of the pod's container `app`."""
        self.logs[namespace, pod, "app", previous] = text.encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                kubelet.requests.append(query)
                place = parts.path.removeprefix("/containerLogs/").split("/")
                data = kubelet.logs.get((*place, query.get("previous") == "true"))  # type: ignore[arg-type]
                self.send_response(200 if data is not None else 404)
                self.end_headers()
                self.wfile.write((data or b"not found")[: int(query.get("limitBytes", 10**9))])

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Quiet."""

        return Handler


@pytest.fixture(scope="session")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The worker's kubelet; use pods of namespaces of your own."""
    server = Kubelet(tmp_path_factory.mktemp("kubelet"))
    yield server
    server.close()
