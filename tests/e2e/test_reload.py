"""A new catalogue is in force as a whole or not at all, whichever way the daemon learns of it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon


def catalogue(*names: str, limit: str = "> 1000") -> str:
    checks = "".join(
        f"  - {{name: {name}, title: {name}, every: 1s, probe: {{type: load}}, severity: SEV3,"
        f" thresholds: {{measure: load1, warning: '{limit}'}}}}\n"
        for name in names
    )
    return f"system: {{name: shop}}\nseverities: {{SEV3: {{}}}}\nchecks:\n{checks}"


def by_signal(daemon: Daemon) -> None:
    daemon.signal(signal.SIGHUP)


def by_api(daemon: Daemon) -> None:
    daemon.http.post("/-/reload")


def by_watching(daemon: Daemon) -> None:
    """Nothing to do: the files have changed."""


@pytest.mark.parametrize("learn", [by_signal, by_api, by_watching])
def test_a_bad_catalogue_is_refused_and_the_old_one_goes_on(
    new_daemon: NewDaemon, learn: Callable[[Daemon], None]
) -> None:
    watching = "true" if learn is by_watching else "false"
    daemon = new_daemon(catalogue("a", "b"), reload_watch=watching).start()
    daemon.until(lambda: daemon.metric("healthd_check_runs_total", check="a", status="ok"), what="ran")

    daemon.write(catalogue("a", "c", limit="> fast") + "  - {nam: d}\n")
    learn(daemon)
    refused = daemon.until(lambda: daemon.events("reload_refused"), what="refused")[0]
    problems = "\n".join(refused["problems"])
    assert "system.yaml:4" in problems  # the limit of `a`
    assert "system.yaml:6" in problems  # and the misspelt key, in the same answer
    assert "name" in problems
    assert daemon.metric("healthd_catalogue_last_reload_successful") == 0
    runs = daemon.metric("healthd_check_runs_total", check="b", status="ok") or 0
    daemon.until(
        lambda: (daemon.metric("healthd_check_runs_total", check="b", status="ok") or 0) > runs, what="goes on"
    )

    daemon.write(catalogue("a", "c"))
    learn(daemon)
    daemon.until(lambda: daemon.metric("healthd_check_status", check="c") == 0, what="in force")
    assert daemon.metric("healthd_catalogue_last_reload_successful") == 1
    assert daemon.metric("healthd_check_status", check="b") is None
    kept = daemon.metric("healthd_check_runs_total", check="a", status="ok") or 0
    assert kept >= runs  # an unchanged check did not begin anew


def test_a_config_map_is_reloaded_when_its_link_is_swapped(new_daemon: NewDaemon, tmp_path: Path) -> None:
    """As the kubelet does it: files are links into ..data, which is a link that is replaced in one step."""
    mount = tmp_path / "mount" / "shop"

    def publish(version: str, text: str) -> None:
        folder = mount / f"..{version}"
        folder.mkdir(parents=True)
        (folder / "system.yaml").write_text(text)
        (mount / "..data_tmp").symlink_to(folder.name)
        (mount / "..data_tmp").rename(mount / "..data")

    publish("2026_01", catalogue("a"))
    (mount / "system.yaml").symlink_to("..data/system.yaml")
    daemon = new_daemon(catalogue("unused"), checks=str(tmp_path / "mount"))
    daemon.start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="a") == 0, what="first version")
    publish("2026_02", catalogue("a", "b"))
    daemon.until(lambda: daemon.metric("healthd_check_status", check="b") == 0, what="second version")
    assert [e["added"] for e in daemon.events("reloaded")] == [1]
