"""What this installation adds to the catalogue's variables: where the daemon itself answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthd.loading import load_catalogue
from healthd.settings import Settings

CHECKS = Path(__file__).parents[2] / "checks" / "host"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(), "http://127.0.0.1:9780"),
        (Settings(host="0.0.0.0", port=8080), "http://127.0.0.1:8080"),
        (Settings(host="10.0.0.5", tls_cert=Path("tls.crt"), tls_key=Path("tls.key")), "https://10.0.0.5:9780"),
        (Settings(host="::1"), "http://[::1]:9780"),
    ],
)
def test_the_daemon_is_looked_at_where_it_listens(
    settings: Settings, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEALTHD_OWN_URL", raising=False)
    catalogue = load_catalogue(settings, [str(CHECKS)])
    ready, metrics = (catalogue.checks[f"host/{name}"].probe.params for name in ("healthd", "healthd-metrics"))
    assert (ready.url, metrics.url) == (f"{url}/readyz", f"{url}/metrics")
    assert ready.tls.insecure  # its certificate is for the name that others call it by
    steps = catalogue.systems["host"].playbooks["healthd-troubled"].diagnostics
    assert steps[0].command == f"curl -sk {url}/readyz"
