"""One drill from its beginning to its end: fetch, verify, restore, look, clear away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from healthd.model.units import Unit, format_value
from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.files.integrity import SIDECAR, listed_sum
from healthd.probes.restore.backups import Backup, Source, source_of
from healthd.probes.restore.checking import Restored, inspect_restored, production_rows
from healthd.probes.restore.database import ScratchDatabase
from healthd.probes.restore.inspection import Inspector, UnreadableError
from healthd.probes.restore.loading import Dump, Loaded, load
from healthd.probes.restore.params import RestoreParams
from healthd.probes.restore.programs import Programs, find_programs
from healthd.probes.restore.server import ScratchServer
from healthd.probes.restore.steps import Steps
from healthd.probes.restore.threads import finish, interruptible
from healthd.probes.restore.workspace import (
    Workspace,
    free_space,
    remove_leftovers,
    scratch_user,
    spare_space,
)

__all__ = ["Drill", "Findings"]

# Size of a database against that of the content of its dump: data, indexes, write-ahead log.
_GROWTH = {"plain": 2.0, "tar": 2.0, "custom": 10.0, "directory": 10.0}
_WATCH_EVERY = 0.2  # seconds


class Scratch(Protocol):
    """Where a dump is restored into."""

    user: str | None

    @property
    def conninfo(self) -> dict[str, str]: ...
    def create(self, stop: Stop) -> None: ...
    def out_of_room(self) -> bool: ...
    def last_words(self) -> str: ...
    def drop(self) -> None: ...


@dataclass(slots=True)
class Findings:
    """What a drill has found so far. `problem` says in words why the backup is no good, "" when it is."""

    backup: Backup | None = None
    checksum_valid: bool | None = None
    problem: str = ""
    loaded: Loaded | None = None
    restored: Restored | None = None
    production: dict[str, float | None] | None = None
    production_problem: str = ""
    leftovers: int = 0


class Drill:
    """Runs once."""

    def __init__(self, params: RestoreParams, context: ProbeContext, parent: Path, steps: Steps) -> None:
        self._params, self._context, self._parent, self._steps = params, context, parent, steps
        self._user = scratch_user() if params.server is None else None
        self.found = Findings()

    async def run(self) -> Findings:
        """Everything. Raises ProbeError when the drill itself was not possible; leaves nothing behind."""
        params, found = self._params, self.found
        own = params.server is None
        programs = await interruptible(lambda _: find_programs(params.binaries, server=own, user=self._user))
        source = source_of(params, self._context)
        with self._steps.step("find the newest backup"):
            backup = found.backup = await source.newest()
        if backup is None:
            found.problem = f"no backup is there that fits {source.where}"
            return found
        self._steps.say(f"backup: {backup.path}, {format_value(float(backup.size), Unit.BYTES)}")
        workspace = await interruptible(lambda _: self._workspace())
        try:
            dump = await self._take(source, backup, workspace)
            if dump is not None:
                await self._restore(dump, programs, workspace)
        finally:
            await finish(workspace.remove)
        if found.restored is not None and params.compare is not None:
            await self._compare()
        return found

    def _workspace(self) -> Workspace:
        now, after = self._context.now, self._params.leftovers_after
        self.found.leftovers = remove_leftovers(self._parent, now, after)
        return Workspace(self._parent, now, self._user)

    async def _take(self, source: Source, backup: Backup, workspace: Workspace) -> Dump | None:
        """The verified backup on disk; None, with the problem said, when it is no good."""
        expected = await source.sidecar(backup) if self._params.checksum != "off" else None
        path = workspace.folder / "backup" if source.remote else Path(backup.path)
        seen = Inspector()
        with self._steps.step("fetch and verify" if source.remote else "verify"):
            if source.remote:
                self._require(workspace, backup.size, f"fetching {backup.path}")
                await self._fetch(source, backup, path, seen)
            else:
                await source.read(backup, seen.feed)
        seen.end()
        if seen.size != backup.size:
            raise ProbeError(f"{backup.path} changed while it was read: is it still being written?", "busy")
        self._judge(backup, expected, seen)
        if self.found.problem:
            return None
        dump = Dump(path, seen.kind(), seen.compressed)
        self._steps.say(f"format: {dump.kind}{', gzip' if dump.compressed else ''}")
        self._require_for(dump, seen, workspace)
        return dump

    async def _fetch(self, source: Source, backup: Backup, path: Path, seen: Inspector) -> None:
        try:
            with path.open("wb") as file:

                def use(piece: bytes) -> None:
                    seen.feed(piece)
                    file.write(piece)

                await source.read(backup, use)
        except OSError as error:
            raise ProbeError(f"cannot write {path}: {(error.strerror or str(error)).lower()}", "limit") from None

    def _judge(self, backup: Backup, sidecar: str | None, seen: Inspector) -> None:
        """Say what is wrong with the backup, if something is."""
        found = self.found
        if sidecar is not None:
            wanted = listed_sum(sidecar, backup.name)
            found.checksum_valid = wanted == seen.sha256
            if not found.checksum_valid:
                found.problem = (
                    f"is not listed in its {SIDECAR} file"
                    if wanted is None
                    else f"does not have the sum in its {SIDECAR} file"
                )
        elif self._params.checksum == "required":
            found.checksum_valid, found.problem = False, f"has no {SIDECAR} file beside it"
        if seen.damage:
            found.problem = seen.damage
        elif not found.problem:
            try:
                seen.kind()
            except UnreadableError as error:
                found.problem = str(error)
        if found.problem:
            found.problem = f"{backup.path} {found.problem}"

    def _require_for(self, dump: Dump, seen: Inspector, workspace: Workspace) -> None:
        unpacked = seen.content_size if dump.kind == "directory" else 0
        growth = self._params.space if self._params.space is not None else seen.content_size * _GROWTH[dump.kind]
        restored = growth if self._params.server is None else 0
        if unpacked + restored:
            self._require(workspace, unpacked + restored, "restoring it")

    def _require(self, workspace: Workspace, needed: float, what: str) -> None:
        """Raises ProbeError when there is not that much room, and some to spare."""
        free = free_space(workspace.folder) - spare_space(workspace.folder)
        if free < needed:
            room = f"about {format_value(needed, Unit.BYTES)} in {self._parent}"
            left = format_value(float(max(0, free)), Unit.BYTES)
            raise ProbeError(f"not enough room: {what} needs {room}, and {left} may be used", "limit")

    def _scratch(self, programs: Programs, workspace: Workspace) -> Scratch:
        if self._params.server is None:
            return ScratchServer(programs, workspace, self._user, trusted=self._params.trust_dump)
        url = self._params.server.get_secret_value()
        return ScratchDatabase(url, self._context.now, self._params.leftovers_after)

    async def _restore(self, dump: Dump, programs: Programs, workspace: Workspace) -> None:
        self._steps.say(f"programs: {programs}")
        scratch = self._scratch(programs, workspace)
        try:
            with self._steps.step("make the scratch database"):
                await interruptible(scratch.create)
            with self._steps.step("restore"):
                self.found.loaded = await self._load(dump, programs, scratch, workspace)
            with self._steps.step("look at what was restored"):
                self.found.restored = await self._look(scratch)
        except BaseException:
            with suppress(ProbeError):  # the first failure is the one to tell
                await finish(scratch.drop)
            raise
        with self._steps.step("drop the scratch database"):
            await finish(scratch.drop)
        self.found.leftovers += getattr(scratch, "leftovers", 0)

    async def _load(self, dump: Dump, programs: Programs, scratch: Scratch, workspace: Workspace) -> Loaded:
        """Restore, and stop before the disk is full: others need it too."""
        work = partial(
            load, dump, programs, scratch.conninfo, folder=workspace.folder, user=scratch.user,
            jobs=self._params.jobs, trusted=self._params.trust_dump,
        )  # fmt: skip
        full = ProbeError(f"not enough room: stopped restoring with {self._parent} almost full", "limit")
        loading = asyncio.ensure_future(interruptible(lambda stop: work(stop=stop)))
        try:
            while not (await asyncio.wait({loading}, timeout=_WATCH_EVERY))[0]:
                if self._params.server is None and free_space(workspace.folder) < spare_space(workspace.folder) / 2:
                    raise full
            loaded = loading.result()
        finally:
            loading.cancel()
            await asyncio.wait({loading})
        if self._params.server is not None and loaded.disk_full:
            raise ProbeError("not enough room on the server that was given", "limit")
        if loaded.disk_full or scratch.out_of_room():
            raise full
        if loaded.lost:  # says nothing about the backup
            words = scratch.last_words() or loaded.messages[0]
            raise ProbeError(f"the scratch server went down while restoring: {words}", "closed")
        return loaded

    async def _look(self, scratch: Scratch) -> Restored:
        import psycopg

        work = partial(inspect_restored, scratch.conninfo, self._params.sanity, self._params.compare)
        try:
            return await interruptible(work)
        except psycopg.Error as error:
            raise ProbeError(f"the restored database cannot be asked: {str(error).strip()}", "error") from None

    async def _compare(self) -> None:
        assert self._params.compare is not None
        with self._steps.step("count rows in production"):
            try:
                self.found.production = await production_rows(self._params.compare, self._context)
            except ProbeError as error:
                self.found.production_problem = f"production could not be asked: {error.reason}"
