"""The newest backup, wherever backups are kept: found, and read piece by piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from healthd.probes.aws.account import Page, account_of
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.probe import Asker
from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.date_template import fill_dates
from healthd.probes.files.integrity import SIDECAR
from healthd.probes.files.pattern import make_pattern
from healthd.probes.files.search import Found, Search, SearchError
from healthd.probes.paths import shown
from healthd.probes.patterns import search_all
from healthd.probes.restore.params import RestoreParams, S3Source
from healthd.probes.restore.threads import StoppedError, interruptible

__all__ = ["OPERATIONS", "Backup", "Source", "source_of"]

T = TypeVar("T")
_PIECE = 1 << 20
_NAMES_MAX = 100_000
_SIDECAR_MAX = 1 << 20
LIST_OBJECTS = Operation("s3", "list_objects_v2", "s3:ListBucket", items="Contents", resource="arn:aws:s3:::{Bucket}")
GET_OBJECT = Operation(
    "s3", "get_object", "s3:GetObject", resource="arn:aws:s3:::{Bucket}/{Key}", absent=("NoSuchKey", "404")
)
OPERATIONS = (LIST_OBJECTS, GET_OBJECT)


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. `path` where it is, for people; `name` as a checksum file names it; `size` in bytes."""

    path: str
    name: str
    size: int
    made: datetime


class Source(Protocol):
    """Where backups are kept."""

    remote: bool  # whether it has to be fetched before it can be restored
    where: str  # what was looked through, for people

    async def newest(self) -> Backup | None:
        """The newest one, None when there is none. Raises ProbeError."""

    async def read(self, backup: Backup, use: Callable[[bytes], None]) -> None:
        """Give all its bytes to `use`, piece by piece, in a thread. Raises ProbeError."""

    async def sidecar(self, backup: Backup) -> str | None:
        """The text of the checksum file beside it, None when there is none."""


def source_of(params: RestoreParams, context: ProbeContext) -> Source:
    """The source these parameters name."""
    return S3(params.s3, context) if params.s3 is not None else Files(params.file, context)


class Files:
    """Files that a glob finds."""

    remote = False

    def __init__(self, globs: tuple[str, ...], context: ProbeContext) -> None:
        self.where = ", ".join(globs)
        self._patterns = [make_pattern(glob, context.now.astimezone(context.zone)) for glob in globs]

    async def newest(self) -> Backup | None:
        try:
            found = await interruptible(self._search)
        except SearchError as error:
            raise ProbeError(shown(str(error)), error.kind) from None
        if found is None:
            return None
        return Backup(found.path, Path(found.path).name, found.size, datetime.fromtimestamp(found.changed, UTC))

    def _search(self, stop: Stop) -> Found | None:
        search = Search(stop, _NAMES_MAX, skip_unreadable=False)
        files = (found for pattern in self._patterns for found in search.files(pattern))
        backups = (found for found in files if not found.path.endswith(SIDECAR))
        return max(backups, key=lambda found: (found.changed, found.path), default=None)

    async def read(self, backup: Backup, use: Callable[[bytes], None]) -> None:
        def work(stop: Stop) -> None:
            with Path(backup.path).open("rb") as file:
                while piece := file.read(_PIECE):
                    if stop.is_set():
                        raise StoppedError
                    use(piece)

        await self._reading(interruptible(work), backup)

    async def sidecar(self, backup: Backup) -> str | None:
        def work(stop: Stop) -> str | None:
            try:
                with Path(backup.path + SIDECAR).open("rb") as file:
                    return file.read(_SIDECAR_MAX).decode(errors="replace")
            except FileNotFoundError:
                return None

        return await self._reading(interruptible(work), backup)

    async def _reading(self, work: Awaitable[T], backup: Backup) -> T:
        try:
            return await work
        except OSError as error:
            kind = "forbidden" if isinstance(error, PermissionError) else "error"
            where = shown(str(error.filename or backup.path))
            raise ProbeError(f"cannot read {where}: {(error.strerror or str(error)).lower()}", kind) from None


class S3:
    """Objects under a prefix."""

    remote = True

    def __init__(self, params: S3Source, context: ProbeContext) -> None:
        self._params, self._context = params, context
        self._prefix = fill_dates(params.prefix, context.now.astimezone(context.zone))
        self.where = f"s3://{params.bucket}/{self._prefix}" + (f" ({params.match})" if params.match else "")

    async def newest(self) -> Backup | None:
        aws = await self._asker()
        request = {"Bucket": self._params.bucket, "Prefix": self._prefix}
        return await aws.reduce(LIST_OBJECTS, self._newest, request)

    def _newest(self, pages: Iterator[Page]) -> Backup | None:
        import re

        regex = re.compile(self._params.match or "")
        newest: Backup | None = None
        looked_at = 0
        for page in pages:
            for item in page.get("Contents", ()):
                looked_at += 1
                if looked_at > self._params.max_objects:
                    raise ProbeError(f"more than {self._params.max_objects} objects: narrow the prefix", "limit")
                key: str = item["Key"]
                if key.endswith(("/", SIDECAR)) or not search_all(regex, [key])[0]:
                    continue
                if newest is None or (item["LastModified"], key) > (newest.made, self._key(newest)):
                    path = f"s3://{self._params.bucket}/{key}"
                    newest = Backup(path, key.rpartition("/")[2], item["Size"], item["LastModified"])
        return newest

    async def read(self, backup: Backup, use: Callable[[bytes], None]) -> None:
        stop = Stop()
        aws = await self._asker()
        try:
            await aws.reduce(GET_OBJECT, partial(self._copy, use, stop, backup), self._request(self._key(backup)))
        finally:
            stop.set()  # when cancelled: the thread looks at it between pieces

    async def sidecar(self, backup: Backup) -> str | None:
        found = bytearray()
        missing = Backup(backup.path + SIDECAR, backup.name, 0, backup.made)
        aws = await self._asker()
        asked = partial(self._copy, found.extend, Stop(), missing)
        present = await aws.reduce(GET_OBJECT, asked, self._request(self._key(missing)))
        return found[:_SIDECAR_MAX].decode(errors="replace") if present else None

    def _copy(self, use: Callable[[bytes], object], stop: Stop, backup: Backup, pages: Iterator[Page]) -> bool:
        """Whether there is such an object."""
        from botocore.exceptions import BotoCoreError, HTTPClientError

        for page in pages:
            with closing(page["Body"]) as body:
                try:
                    while piece := body.read(_PIECE):
                        if stop.is_set():
                            raise StoppedError
                        use(piece)
                except (BotoCoreError, HTTPClientError, OSError) as error:
                    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
                        raise  # of what `use` writes to
                    raise ProbeError(f"reading {backup.path} broke off: {type(error).__name__}", "network") from None
            return True
        return False

    def _request(self, key: str) -> dict[str, str]:
        return {"Bucket": self._params.bucket, "Key": key}

    def _key(self, backup: Backup) -> str:
        return backup.path.removeprefix(f"s3://{self._params.bucket}/")

    async def _asker(self) -> Asker:
        return Asker(await account_of(self._params, self._context), self._context, OPERATIONS)
