"""Parameters of the `command` probe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from healthd.probes import base
from healthd.probes.json_path import parse_json_path
from healthd.probes.scale import UnitName

# what every run measures; nothing extracted may take these names
OWN_MEASURES = ("exit_code", "duration", "lines", "plugin_status")


def _word(value: Any) -> Any:
    """YAML reads 5 as a number; a program gets it as text. Not so for yes and no: that may be a slip."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _argv(value: Any) -> Any:
    if isinstance(value, str):
        program = value.split(maxsplit=1)[0] if value.split() else "program"
        raise ValueError(f"must be a list, one word each: [{program}, ...]; there is no shell to part a line of text")
    return [_word(word) for word in value] if isinstance(value, list | tuple) else value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("a NUL character cannot be handed to a program")
    return value


def _program_first(argv: tuple[str, ...]) -> tuple[str, ...]:
    if not argv or not argv[0]:
        raise ValueError("must begin with the program: [df, -h, /]")
    if "/" in argv[0] and not argv[0].startswith("/"):
        raise ValueError(f"{argv[0]!r} is a relative path: write it from /, or a bare name")
    return argv


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if not groups:
        raise ValueError(f"{pattern!r} has no group: put the value into parentheses, as in 'queued: (\\d+)'")
    return pattern


def _json_path(path: str) -> str:
    parse_json_path(path)
    return path


def _folder(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not an absolute path: write it from /")
    return path


class Extract(base.Params):
    """A value out of the text: the first group of `pattern`. `unit` is what a bare number is written in."""

    pattern: Annotated[str, AfterValidator(_one_group)]
    unit: UnitName | None = None


class JsonExtract(base.Params):
    """A value out of JSON. With [*] in the path one series for each match."""

    path: Annotated[str, AfterValidator(_json_path)]
    unit: UnitName | None = None


def _as_pattern(value: Any) -> Any:
    return {"pattern": value} if isinstance(value, str) else value


def _as_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


Argv = Annotated[
    tuple[Annotated[str, AfterValidator(_no_nul)], ...],
    AfterValidator(_program_first),
    BeforeValidator(_argv, json_schema_input_type=list[str | float]),
]
Secret = Annotated[SecretStr, BeforeValidator(_word, json_schema_input_type=str | float)]


class ProgramParams(base.Params):
    """What to run, where, and with which variables."""

    argv: Argv = Field(description="the program and its arguments, one word each; no shell", repr=False)
    cwd: Annotated[str, AfterValidator(_folder)] = Field("/", description="folder to run it in")
    env: Mapping[str, Secret] = Field({}, description="its environment, besides PATH and LC_ALL; never shown")

    @field_validator("env")
    @classmethod
    def _can_be_set(cls, env: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value.get_secret_value():
                raise ValueError(f"{name!r} cannot be the name or value of an environment variable")
        return env

    def secrets(self) -> list[str]:
        """Everything that must not be shown."""
        return [value.get_secret_value() for value in self.env.values()]


class CommandParams(ProgramParams):
    """What to run and what to read out of it."""

    format: Literal["text", "plugin"] = Field("text", description="plugin: a monitoring plugin, with performance data")
    extract: Mapping[str, Annotated[Extract, BeforeValidator(_as_pattern, json_schema_input_type=str | Extract)]] = {}
    json_: Mapping[str, Annotated[JsonExtract, BeforeValidator(_as_path, json_schema_input_type=str | JsonExtract)]] = (
        Field({}, alias="json", description="measures out of the standard output, read as JSON")
    )

    @model_validator(mode="after")
    def _names_are_free(self) -> CommandParams:
        for name in (*self.extract, *self.json_):
            if name in OWN_MEASURES:
                raise ValueError(f"the measure {name} is taken: name what you extract differently")
        if both := self.extract.keys() & self.json_.keys():
            raise ValueError(f"{', '.join(sorted(both))}: in extract and in json; one name, one measure")
        if self.format == "plugin" and (self.extract or self.json_):
            raise ValueError("format: plugin reads the performance data; extract and json are for other programs")
        return self
