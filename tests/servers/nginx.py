"""A real nginx on loopback: plain HTTP on `port`, TLS on `tls_port` with a certificate of a test authority."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

import pytest
import trustme

from tests.servers.process import Process, free_port

LOCATIONS = """
location = / { default_type text/html; return 200 "<html><body>hello</body></html>\\n"; }
location = /health {
  default_type application/json;
  return 200 '{"status":"ok","uptime_ms":1500,"ready":true,"checks":{"database":"connected"},"queues":[
    {"name":"mail","depth":3},{"name":"video","depth":120}]}';
}
location = /broken { default_type application/json; return 503 '{"status":"failing","password":"hunter2-in-body"}'; }
location = /moved { return 301 /health; }
location = /moved-twice { return 302 /moved; }
location = /loop { return 302 /loop; }
location = /see-other { return 303 /method; }
location = /see-other-port { return 302 http://localhost:PORT/method; }
location = /method {
  default_type text/plain;
  return 200 "method=$request_method key=$http_x_key auth=$http_authorization";
}
location = /cookie { add_header Set-Cookie "seen=1"; default_type text/plain; return 200 "cookie:$http_cookie"; }
location = /login { add_header Set-Cookie "session=abc; Path=/"; return 302 /cookie; }
location = /headers { add_header X-Queue-Depth 42; add_header X-Build "v1.2.3"; return 204; }
location = /secure { auth_basic "staff"; auth_basic_user_file users; alias FOLDER/in; }
location = /big { default_type application/octet-stream; alias FOLDER/big; }
location = /gzip { gzip on; gzip_min_length 1; gzip_types *; default_type text/plain; alias FOLDER/big; }
"""

CONFIG = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log; user {user};
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{ listen 127.0.0.1:{port}; {ipv6} {locations} }}
  server {{
    listen 127.0.0.1:{tls_port} ssl; server_name localhost;
    ssl_certificate chain.pem; ssl_certificate_key key.pem; {locations}
  }}
}}
"""
_BIG = 3_000_000  # bytes


class NginxServer:
    """nginx with `locations` (default: the ones above). `ca_file` vouches for its certificate for localhost."""

    def __init__(self, folder: Path, locations: str = LOCATIONS) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self.ca_file = folder / "ca.pem"
        self._locations = locations
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://localhost:{self.tls_port}"

    def start(self) -> NginxServer:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            pytest.fail("nginx is missing: apt-get install nginx-light", pytrace=False)
        self._write_certificates()
        (self.folder / "users").write_text("alice:{PLAIN}open-sesame\n")
        (self.folder / "in").write_text("in")
        (self.folder / "big").write_bytes(b"0" * _BIG)
        config = CONFIG.format(
            port=self.port, tls_port=self.tls_port, user=getuser(), ipv6=self._ipv6(),
            locations=self._locations.replace("FOLDER", str(self.folder)).replace(":PORT", f":{self.port}"),
        )  # fmt: skip
        (self.folder / "nginx.conf").write_text(config)
        argv = [program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "error.log"]
        log = self.folder / "nginx.log"
        self._process = Process(argv, log).start().wait_for_port(self.port).wait_for_port(self.tls_port)
        return self

    def _write_certificates(self) -> None:
        if self.ca_file.exists():  # started again
            return
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.ca_file)
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self.folder / "chain.pem", append=True)
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")

    def _ipv6(self) -> str:
        """Listen there too where this machine has it."""
        try:
            with socket.create_server(("::1", self.port), family=socket.AF_INET6):
                return f"listen [::1]:{self.port};"
        except OSError:
            return ""

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    server = NginxServer(tmp_path_factory.mktemp("nginx")).start()
    yield server
    server.stop()
