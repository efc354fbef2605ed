"""kill -9 between any two writes on the way from a look to a message accepted: nothing is lost, nothing told twice
under two names."""

from __future__ import annotations

from pathlib import Path

from tests.component.kill_cycles import POINTS, Cycles, every_point, random_cycles
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver


async def test_killed_before_every_write_it_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    with Cycles(tmp_path, receiver) as cycles:
        every_point(cycles, range(1, POINTS + 1))
        random_cycles(cycles, 8)
        cycles.end()
        result = await cycles.result()
    assert (result.lost, result.foreign, result.disordered) == (0, 0, 0)
    assert result.changes >= POINTS
    assert result.repeated >= 2  # those read and not answered came again


async def test_neither_does_it_on_postgresql(tmp_path: Path, receiver: Receiver, postgres: PostgresServer) -> None:
    """Before it is recorded, before the commit, and while the message is on its way; the bench kills at every point."""
    with Cycles(tmp_path, receiver, postgres.create_database()) as cycles:
        every_point(cycles, (3, 13, 15))
        cycles.end()
        result = await cycles.result()
    assert (result.lost, result.foreign, result.disordered) == (0, 0, 0)
    assert result.changes >= 2
    assert result.repeated >= 2
