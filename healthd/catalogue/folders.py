"""Which files make up a catalogue: system folders, and folders that hold several of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from healthd.catalogue.problems import Problem

SUFFIXES = (".yaml", ".yml")
SYSTEM_FILES = ("system.yaml", "system.yml")
_HINT = "set HEALTHD_CHECKS to a folder with a system.yaml, or to one that holds such folders"


@dataclass(frozen=True, slots=True)
class Folder:
    """One system's files. `shared`: not a system, but files above several of them."""

    path: Path
    files: tuple[Path, ...]
    shared: bool = False


@dataclass(slots=True)
class Found:
    """What the folders hold, and what is wrong or odd about them."""

    folders: list[Folder] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def discover(folders: Sequence[str | Path]) -> Found:
    """Find every system folder once, however often and by whatever path it is named."""
    found, seen = Found(), set[Path]()
    if not folders:
        found.problems.append(Problem("HEALTHD_CHECKS", 0, "no catalogue folder is named", _HINT))
    for path in map(Path, folders):
        try:
            _visit(path, found, seen)
        except OSError as error:
            found.problems.append(Problem(str(path), 0, f"cannot be read: {error.strerror}", _HINT))
    return found


def yaml_files(folder: Path) -> tuple[Path, ...]:
    """The catalogue files of one folder: no hidden ones (such as a ConfigMap's `..data`), nothing below it."""
    return tuple(path for path in _visible(folder) if path.suffix in SUFFIXES and path.is_file())


def _visit(path: Path, found: Found, seen: set[Path]) -> None:
    if not path.exists():
        found.problems.append(Problem(str(path), 0, "the catalogue folder does not exist", _HINT))
    elif not path.is_dir():
        found.problems.append(Problem(str(path), 0, "a file, not a folder", f"did you mean {str(path.parent)!r}?"))
    elif _is_system(path):
        _add(path, found, seen)
    else:
        _visit_collection(path, found, seen)


def _visit_collection(path: Path, found: Found, seen: set[Path]) -> None:
    systems = 0
    for child in _visible(path):
        if child.is_dir() and _is_system(child):
            _add(child, found, seen)
            systems += 1
        elif child.is_dir() and (files := yaml_files(child)):
            systems += 1
            hint = "add a system.yaml, or move the files into a system's folder"
            found.problems.append(Problem(str(child), 0, f"holds {files[0].name} but no system.yaml", hint))
    if not systems:
        found.problems.append(Problem(str(path), 0, "holds no system (no folder with a system.yaml)", _HINT))
    elif (files := yaml_files(path)) and (real := path.resolve()) not in seen:
        seen.add(real)
        found.folders.append(Folder(path, files, shared=True))


def _add(path: Path, found: Found, seen: set[Path]) -> None:
    if (real := path.resolve()) in seen:
        return
    seen.add(real)
    found.folders.append(Folder(path, yaml_files(path)))
    for child in _visible(path):
        if child.suffix in (".yaml", ".yml") and not child.is_file():
            found.warnings.append(f"{child}: is not read: it is no file")
        elif child.is_dir() and yaml_files(child):
            found.warnings.append(f"{child}: its files are not read: a system's files stand side by side in {path}")


def _is_system(path: Path) -> bool:
    return any((path / name).is_file() for name in SYSTEM_FILES)


def _visible(path: Path) -> Iterator[Path]:
    yield from sorted(child for child in path.iterdir() if not child.name.startswith("."))
