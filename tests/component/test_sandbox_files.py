"""The sandbox's backups, logs and certificates, looked at by the probes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.sandbox.parts.certificates import Authority, TlsListener
from healthd.sandbox.parts.files import AccessLog, Backups, ErrorLog, Request
from tests.component.looking import looking, values

NOW = datetime.now(UTC)
DUMP = random.Random(1).randbytes(100_000)


async def look(kind: str, **params: Any) -> Observation:
    async with looking(PROBES[kind]) as looker:
        return await looker(**params)


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    """Of the last seven nights."""
    backups = Backups(tmp_path / "backups", "shop_{day:%Y%m%d}.sql.gz")
    backups.fill(DUMP, [NOW - timedelta(days=age, hours=1) for age in reversed(range(7))])
    return backups


async def files(backups: Backups, **params: Any) -> dict[str, float | str]:
    return values(await look("files", glob=f"{backups.folder}/shop_*.sql.gz", gzip="all", **params))


async def test_backups_of_a_week(backups: Backups) -> None:
    seen = await files(backups)
    assert (seen["count"], seen["gzip_valid"]) == (7, 1)
    passed = (datetime.now(UTC) - NOW).total_seconds()
    assert seen["newest_age"] == pytest.approx(3600 + passed, abs=60)


async def test_backups_that_are_gone_cut_or_damaged(backups: Backups) -> None:
    last = NOW - timedelta(hours=1)
    backups.remove(last)
    assert (await files(backups))["count"] == 6
    backups.cut(last, 0.5)
    assert (await files(backups))["gzip_valid"] == 0
    backups.damage(last)
    assert (await files(backups))["gzip_valid"] == 0
    backups.replace(last, b"-- another dump")
    assert (await files(backups))["gzip_valid"] == 1
    backups.put(last)
    assert (await files(backups))["newest_size"] == pytest.approx(100_000, rel=0.01)


async def test_an_access_log_with_a_past(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log")
    log.history(repeat(Request()), timedelta(days=2), timedelta(minutes=10))
    log.write([Request(path="/wp-login.php", status=404), Request(status=502)])
    ask = {"glob": str(log.file), "patterns": {"errors": '" 5\\d\\d ', "exploits": "wp-"}, "read": "window"}
    seen = values(await look("logs", **ask, since="1h"))
    assert (seen["errors"], seen["exploits"]) == (1, 1)
    assert seen["lines"] == pytest.approx(8, abs=1)
    log.forget("wp-login")
    assert values(await look("logs", **ask, since="3d"))["exploits"] == 0


async def test_an_error_log(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "error.log")
    log.write("upstream timed out", at=NOW - timedelta(hours=2))
    log.write("connect() failed (111: Connection refused)")
    seen = values(await look("logs", glob=str(log.file), patterns=r"\[error\]", read="window", since="1h"))
    assert seen["matches"] == 1


async def test_certificates_in_files_and_on_a_port(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    certificate = authority.issue("site", ("localhost", "127.0.0.1"))
    listener = TlsListener(certificate)
    await listener.start()
    remote = {"host": "127.0.0.1", "port": listener.port, "ca_file": authority.file}
    try:
        for days in (90, 3):
            certificate.renew(days)
            for params in ({"file": str(certificate.file)}, remote):
                assert values(await look("tls", **params))["days_left"] == pytest.approx(days, abs=0.01)
        certificate.renew(by_itself=True)
        refused = values(await look("tls", **remote))
        certificate.renew()
        assert refused["chain_valid"] == 0
        assert values(await look("tls", **remote))["chain_valid"] == 1
    finally:
        await listener.stop()
