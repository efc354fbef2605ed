"""Putting a dump into the scratch database with the program made for its format."""

from __future__ import annotations

import os
import re
import secrets
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from healthd.model.redact import Redactor
from healthd.probes.base import ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.restore.inspection import Kind
from healthd.probes.restore.programs import Programs, run_program
from healthd.probes.restore.threads import StoppedError

__all__ = ["NO_ROOM", "Dump", "Loaded", "load"]

NO_ROOM = "No space left on device"  # as the C library says it in every version of the server
_PIECE = 1 << 20
_KEPT = 20  # messages
_MESSAGE_MAX = 300
_HEADER_LINES = 64
# What is the server's rather than the database's, and no loss to what is in it: roles and what only a superuser may
# make. What depends on an extension that is left out fails by itself, and counts.
_LEFT_OUT = re.compile(
    r'role "[^"]*" does not exist|must be (?:able to SET ROLE|member of role) "'
    r"|permission denied to create (?:extension|subscription|event trigger)|must be superuser to create"
    r'|(?:must be owner of )?extension "?[\w-]+"?(?: does not exist)?$|unrecognized configuration parameter'
)
_LOST = re.compile(r"server closed the connection|connection to server was lost|connection .*failed|terminating conn")
# psql -v VERBOSITY=verbose: "psql:<stdin>:12: ERROR:  42P01: relation ..."; the first word may be translated
_PSQL = re.compile(r"^psql:[^:]*:(?:\d+:)? [^:]+:  (?P<state>[0-9A-Z]{5}): (?P<text>.*)")
_PSQL_ITSELF = re.compile(r"^(?:psql:[^:]*:(?:\d+:)?|psql:) (?:error: |fatal: )?(?P<text>.*)")
_PG_RESTORE = re.compile(r"^pg_restore: (?:error|fatal): (?P<text>.*)")
_HARMLESS = ("00", "01", "02")  # classes of SQLSTATE that are notices and warnings
_TOO_NEW = re.compile(r"unsupported version \(([\d.]+)\) in file header")
_ENVIRONMENT = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "options": "PGOPTIONS", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "gssencmode": "PGGSSENCMODE", "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dump:
    """A whole dump on disk."""

    path: Path
    kind: Kind
    compressed: bool


@dataclass(slots=True)
class Loaded:
    """How it went. `messages` and `left_out` hold the first of each kind, redacted.

    `errors` counts what failed, `passed_over` what is left out of a scratch database as a matter of course.
    `disk_full`, `lost`: the server ran out of room, or went down.
    """

    errors: int = 0
    passed_over: int = 0
    messages: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    disk_full: bool = False
    lost: bool = False

    def take(self, text: str) -> None:
        """Count one error message."""
        harmless = _LEFT_OUT.search(text) is not None
        kept = self.left_out if harmless else self.messages
        if len(kept) < _KEPT:
            kept.append(Redactor()(text)[:_MESSAGE_MAX])
        self.passed_over += harmless
        self.errors += not harmless
        self.disk_full = self.disk_full or NO_ROOM in text
        self.lost = self.lost or _LOST.search(text) is not None


def load(
    dump: Dump, programs: Programs, conninfo: Mapping[str, str], *, folder: Path, user: str | None, jobs: int,
    trusted: bool, stop: Stop,
) -> Loaded:  # fmt: skip
    """Restore; blocks. `folder` is where an archive may be unpacked. Raises ProbeError, StoppedError."""
    restoring = _Restoring(dump, programs, _environment(conninfo, folder), folder, user, stop)
    if dump.kind == "plain":
        return restoring.plain(trusted)
    if dump.kind == "directory":
        return restoring.directory(jobs)
    return restoring.archive()


@dataclass(frozen=True, slots=True)
class _Restoring:
    dump: Dump
    programs: Programs
    env: Mapping[str, str]
    folder: Path
    user: str | None
    stop: Stop
    loaded: Loaded = field(default_factory=Loaded)

    def plain(self, trusted: bool) -> Loaded:
        """SQL, through psql."""
        fence = self.programs.restricts
        if not fence and not trusted:
            raise ProbeError(
                f"the psql of {self.programs} cannot be kept from obeying commands inside a dump (that needs 13.22,"
                " 14.19, 15.14, 16.10, 17.6 or newer): install a newer one, or write trust_dump: true",
                "config",
            )
        argv = [self.programs["psql"], "-X", "-q", "-w", "-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=verbose", "-f", "-"]
        with _Content(self.dump) as pieces:
            code = self._run(argv, self._take_psql, feed=_fenced(_lines(pieces), fence))
        return self._ended("psql", code)

    def archive(self) -> Loaded:
        """pg_dump's custom and tar formats, through pg_restore."""
        if not self.dump.compressed:
            with self.dump.path.open("rb") as file:
                return self._ended("pg_restore", self._run(self._pg_restore(), self._take_pg_restore, stdin=file))
        with _Content(self.dump) as pieces:
            return self._ended("pg_restore", self._run(self._pg_restore(), self._take_pg_restore, feed=pieces))

    def directory(self, jobs: int) -> Loaded:
        """An archive of the folder that pg_dump's directory format is."""
        place = self.folder / "dump"
        place.mkdir()
        try:
            problem = _unpack(self.dump.path, place, self.stop)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            problem = f"the archive cannot be unpacked: {error}"
        if problem:
            self.loaded.take(problem)
            return self.loaded
        if self.user is not None:
            _hand_over(place, self.user)
        argv = [*self._pg_restore(), "-F", "d", "-j", str(jobs), str(place)]
        return self._ended("pg_restore", self._run(argv, self._take_pg_restore))

    def _pg_restore(self) -> list[str]:
        return [
            *(self.programs["pg_restore"], "--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions"),
            *("-w", "-d", self.env["PGDATABASE"]),
        ]

    def _run(
        self,
        argv: list[str],
        line: Callable[[str], None],
        *,
        stdin: IO[bytes] | None = None,
        feed: Iterator[bytes] | None = None,
    ) -> int:
        return run_program(argv, env=self.env, user=self.user, stop=self.stop, stdin=stdin, feed=feed, line=line)

    def _take_psql(self, line: str) -> None:
        if found := _PSQL.match(line):
            if found["state"][:2] not in _HARMLESS:
                self.loaded.take(found["text"])
        elif (found := _PSQL_ITSELF.match(line)) and "warning:" not in line:
            self.loaded.take(found["text"])

    def _take_pg_restore(self, line: str) -> None:
        if found := _PG_RESTORE.match(line):
            self.loaded.take(found["text"])

    def _ended(self, program: str, code: int) -> Loaded:
        if self.loaded.messages and (found := _TOO_NEW.search(self.loaded.messages[0])):
            raise ProbeError(
                f"{self.programs} cannot read this dump, whose format is {found[1]}: a newer pg_dump made it, give"
                " healthd programs at least as new",
                "config",
            )
        if code != 0 and not self.loaded.errors and not self.loaded.passed_over:
            self.loaded.take(f"{program} ended with exit code {code}")
        return self.loaded


class _Content:
    """The content of a dump, decompressed, in pieces."""

    def __init__(self, dump: Dump) -> None:
        self._dump = dump

    def __enter__(self) -> Iterator[bytes]:
        import gzip

        raw = self._dump.path.open("rb")
        self._file: IO[bytes] = gzip.GzipFile(fileobj=raw) if self._dump.compressed else raw  # type: ignore[assignment]
        self._raw = raw
        return iter(lambda: self._file.read(_PIECE), b"")

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()


def _unpack(archive: Path, place: Path, stop: Stop) -> str:
    """Take the files out, which all lie in one folder; what is wrong with the archive, "" when nothing is."""
    folders: set[str] = set()
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            if content is None:
                continue
            folder, _, name = member.name.rpartition("/")
            folders.add(folder)
            with (place / name).open("wb") as file:
                while piece := content.read(_PIECE):
                    if stop.is_set():
                        raise StoppedError
                    file.write(piece)
    if not (place / "toc.dat").exists():
        return "the archive holds no toc.dat: it is none of pg_dump's directory format"
    return "the archive holds more than one folder" if len(folders) > 1 else ""


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces that end where a line ends."""
    rest = b""
    for piece in pieces:
        whole, newline, rest_of_piece = piece.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = rest_of_piece
        else:
            rest += rest_of_piece
    if rest:
        yield rest + b"\n"


def _fenced(pieces: Iterator[bytes], fence: bool) -> Iterator[bytes]:
    """The dump, with `fence` between \\restrict and \\unrestrict: psql obeys no command in it.

    Dumps made by a newer pg_dump bring such a pair. It is left out: psql takes no second one, an old psql none at all.
    """
    token = secrets.token_hex(16).encode()
    own = b""  # the dump's own token
    if fence:
        yield b"\\restrict " + token + b"\n"
    for number, piece in enumerate(pieces):
        if number == 0:
            head = b"\n".join(piece.split(b"\n", _HEADER_LINES)[:_HEADER_LINES])
            if found := re.search(rb"^\\restrict ([A-Za-z0-9]+)\r?$", head, re.MULTILINE):
                own = found[1]
                piece = piece.replace(found[0], b"", 1)  # noqa: PLW2901
        if own:
            piece = re.sub(rb"^\\unrestrict " + own + rb"\r?$", b"", piece, flags=re.MULTILINE)  # noqa: PLW2901
        yield piece
    if fence:
        yield b"\n\\unrestrict " + token + b"\n"


def _environment(conninfo: Mapping[str, str], folder: Path) -> dict[str, str]:
    """How the programs are told where to connect: not on the command line, where everybody could read a password."""
    found = {_ENVIRONMENT[key]: value for key, value in conninfo.items() if key in _ENVIRONMENT}
    return {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(folder), "PGAPPNAME": "healthd restore drill", **found}


def _hand_over(place: Path, user: str) -> None:
    import shutil

    for path in (place, *place.rglob("*")):
        shutil.chown(path, user)
