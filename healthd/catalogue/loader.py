"""Folders in, one catalogue out, or every problem there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretStr

from healthd.catalogue.channels import matchable, read_channels, read_routes
from healthd.catalogue.check_rows import RowReader
from healthd.catalogue.checks import CheckReader, located, written_names
from healthd.catalogue.context import Context
from healthd.catalogue.dependencies import check_dependencies
from healthd.catalogue.environment import Environment
from healthd.catalogue.fingerprint import digest
from healthd.catalogue.folders import Folder, discover
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.playbooks import PlaybookReader
from healthd.catalogue.problems import CatalogueError, Problem
from healthd.catalogue.reader import read
from healthd.catalogue.runbook import RunbookReader
from healthd.catalogue.sections import Sections, gather
from healthd.catalogue.shapes import GroupingShape
from healthd.catalogue.systems import Frame, frozen, read_frame
from healthd.catalogue.tasks import tasks_of
from healthd.catalogue.values import Values
from healthd.model.catalogue import Catalogue, Check, Grouping, System
from healthd.settings import Settings


def load(
    folders: Sequence[str | Path],
    *,
    probes: Mapping[str, ProbeKind],
    channels: Mapping[str, type[BaseModel]],
    settings: Settings,
    environment: Mapping[str, str],
) -> Catalogue:
    """Read and validate the catalogue in `folders`: system folders, or folders that hold several.

    `probes` and `channels` say which types there are and what their parameters look like. Raises CatalogueError, the
    only exception whatever the files hold, with every problem of every file.
    """
    return _Load(Context(probes, channels, settings, Values(Environment(environment)))).run(folders)


def load_looks(
    folders: Sequence[str | Path],
    location: str,
    *,
    probes: Mapping[str, ProbeKind],
    settings: Settings,
    environment: Mapping[str, str],
) -> Looks:
    """What workers at `location` look at. Of everything else nothing is read: it needs no variables here. Raises
    CatalogueError."""
    return _Load(Context(probes, {}, settings, Values(Environment(environment)))).looks(folders, location)


@dataclass(frozen=True, slots=True)
class Looks:
    """The checks of one location and the looks of its playbooks, by id; the zones of their systems, by name."""

    checks: Mapping[str, Check]
    zones: Mapping[str, ZoneInfo]
    secrets: frozenset[str] = field(repr=False)


class _Load:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.contents = hashlib.sha256()
        self.written: dict[str, MappingNode] = {}  # every check by id, right or wrong
        self.runbooks = RunbookReader(context)

    def run(self, folders: Sequence[str | Path]) -> Catalogue:
        found = discover(folders)
        self.context.problems += found.problems
        self.context.warnings += found.warnings
        sections = [self._sections(folder) for folder in found.folders]
        systems = self._systems([s for s in sections if not s.shared])
        complete = all(s.complete for s in sections) and not found.problems
        check_dependencies(self.written, complete, self.context)
        checks = {check.id: check for system in systems.values() for check in system.checks}
        tasks = {task.id: task for system in systems.values() for task in system.tasks}
        specs, names = read_channels(sections, self.context)
        self.runbooks.check_channels(names)
        scales = {name: system.severities.values() for name, system in systems.items()}
        routes = read_routes(
            sections,
            names,
            matchable(scales, [*checks.values(), *tasks.values()], self.written),
            complete,
            self.context,
        )
        problems = [*self.context.problems, *self.context.values.problems()]
        if problems:
            raise CatalogueError(problems)
        environment = self.context.values.environment
        return Catalogue(
            systems=MappingProxyType(systems),
            channels=MappingProxyType(specs),
            routes=routes,
            warnings=tuple(self.context.warnings),
            digest=self._digest(checks.values()),
            checks=MappingProxyType(checks),
            tasks=MappingProxyType(tasks),
            secrets=frozenset(environment.secrets | self.context.secrets) - {""},
        )

    def looks(self, folders: Sequence[str | Path], location: str) -> Looks:
        """The part of the catalogue that is looked at from there."""
        found = discover(folders)
        self.context.problems += found.problems
        sections = [self._sections(folder) for folder in found.folders]
        frames = self._frames([s for s in sections if not s.shared])
        looks = [look for frame in frames.values() for look in self._looks(frame, location)]
        problems = [*self.context.problems, *self.context.values.problems()]
        if problems:
            raise CatalogueError(problems)
        environment = self.context.values.environment
        return Looks(
            MappingProxyType({look.id: look for look in looks}),
            MappingProxyType({name: frame.zone for name, frame in frames.items()}),
            frozenset(environment.secrets | self.context.secrets) - {""},
        )

    def _looks(self, frame: Frame, location: str) -> Iterator[Check]:
        rows = RowReader(frame, self.context)
        reader = CheckReader(frame, rows, self.context)
        for node in frame.sections.checks:
            if reader.location(node) == location and (check := reader.read(node)) is not None:
                yield check
        if located(frame.defaults, frame) == location:
            for playbook in PlaybookReader(frame, rows, self.written, self.context).read_all().values():
                yield from (step.look for step in playbook.diagnostics if step.look is not None)

    def _digest(self, checks: Iterable[Check]) -> str:
        """Over everything a catalogue is made of: files, variables, and what settings and defaults add to checks."""
        variables = {name: SecretStr(value) for name, value in self.context.values.environment.used.items()}
        return digest((self.contents.hexdigest(), variables, [(c.fingerprint, c.timeout, c.grace) for c in checks]))

    def _sections(self, folder: Folder) -> Sections:
        roots = []
        for path in folder.files:
            document = read(path, str(path))
            self.context.problems += document.problems
            roots.append(document.root)
            self.contents.update(f"{folder.path.name}/{path.name}\n".encode(errors="surrogateescape"))
            self.contents.update(document.data)
        return gather(folder.path, roots, folder.shared, self.context.problems)

    def _systems(self, all_sections: list[Sections]) -> dict[str, System]:
        frames = self._frames(all_sections)
        systems = {name: self._system(frame) for name, frame in frames.items()}
        self.runbooks.check_covers(frames.values())
        return systems

    def _frames(self, all_sections: list[Sections]) -> dict[str, Frame]:
        frames: dict[str, Frame] = {}
        for sections in all_sections:
            frame = read_frame(sections, self.context)
            first = frames.setdefault(frame.name, frame)
            if first is not frame:
                self._duplicate(frame, first)
        for frame in frames.values():
            frame.written = written_names(frame, self.context)
            self.written |= {f"{frame.name}/{name}": node for name, node in frame.written.items()}
        return frames

    def _duplicate(self, second: Frame, first: Frame) -> None:
        place = second.sections.system.key("name")
        file, line = (place.file, place.line) if place else (str(second.sections.folder), 0)
        message = f"the system {second.name!r} is defined twice"
        self.context.problems.append(Problem(file, line, message, f"first in {first.sections.folder}"))

    def _system(self, frame: Frame) -> System:
        rows = RowReader(frame, self.context)
        reader = CheckReader(frame, rows, self.context)
        playbooks = PlaybookReader(frame, rows, self.written, self.context)
        made = [reader.read(node) for node in frame.sections.checks]
        checks: tuple[Check, ...] = tuple(check for check in made if check is not None)
        runbook = self.runbooks.read(frame)
        return System(
            name=frame.name,
            title=frame.shape.title or frame.name,
            zone=frame.zone,
            severities=frozen(frame.severities),
            cadences=frozen(frame.cadences),
            playbooks=MappingProxyType(playbooks.read_all()),
            checks=checks,
            description=frame.shape.description,
            runbook_url=frame.shape.runbook_url,
            links=MappingProxyType(dict(frame.shape.links)),
            runbook=runbook,
            tasks=tuple(tasks_of(frame, runbook.attestations, self.context)),
            objective=frame.shape.objective,
            grouping=_grouping(frame.shape.grouping),
        )


def _grouping(shape: GroupingShape) -> Grouping:
    return Grouping(shape.window, shape.storm, shape.storm_window, shape.reopen_within)


def diff(old: Catalogue, new: Catalogue) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Ids of checks (added, changed, removed): changed when their fingerprint is another one."""
    before, after = old.checks.keys(), new.checks.keys()
    changed = {id_ for id_ in before & after if old.checks[id_].fingerprint != new.checks[id_].fingerprint}
    return frozenset(after - before), frozenset(changed), frozenset(before - after)
