"""What every step of one load shares: the probe and channel tables, the values, and everything found wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from healthd.catalogue.environment import passwords_in
from healthd.catalogue.explain import explain
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.nodes import Node, locate
from healthd.catalogue.problems import Problem, did_you_mean
from healthd.catalogue.values import Values
from healthd.settings import Settings

M = TypeVar("M", bound=BaseModel)
_STAND_IN = re.compile(r"\{\{\w+\}\}")


@dataclass(slots=True)
class Context:
    """One load."""

    probes: AbstractMapping[str, ProbeKind]
    channels: AbstractMapping[str, type[BaseModel]]
    settings: Settings
    values: Values
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def read(self, model: type[M], node: Node, subject: str) -> M | None:
        """The node as `model`; None, with the problems noted, when it is not one."""
        return self.validate(model, self.values.build(node, subject), node, subject)

    def validate(self, model: type[M], value: Any, node: Node, subject: str) -> M | None:
        """`value`, built from `node`, as `model`. Validators of others may fail in any way: that is a problem too."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            self.problems += explain(error, node, model, subject, self.values)
        except Exception as error:  # noqa: BLE001 - a probe's own validator; its text may hold secrets
            self.problem(node, f"{subject}: cannot be validated ({type(error).__name__} in {model.__name__})")
        return None

    def salvage(self, model: type[M], value: dict[str, Any], stand_ins: dict[str, Any]) -> M | None:
        """What remains of a wrong `value` without its wrong keys, to look at for further mistakes.

        `stand_ins` are for required keys.
        """
        try:
            return model.model_validate(value)
        except ValidationError as error:
            wrong = {details["loc"][0] for details in error.errors(include_url=False) if details["loc"]}
        try:
            return model.model_validate({**stand_ins, **{k: part for k, part in value.items() if k not in wrong}})
        except ValidationError:
            return None

    def keep_secret(self, values: Iterable[str]) -> None:
        """Note values never to be shown; of a URL with a password just that, so that its host can be.

        `{{token}}`, which a probe fills in by itself, is the name of a secret and may be shown.
        """
        for value in values:
            if not _STAND_IN.fullmatch(value):
                self.secrets |= passwords_in(value) or {value}

    def problem(self, node: Node, message: str, hint: str = "", at: tuple[str | int, ...] = ()) -> None:
        """Note a problem at the node, or where `at` leads from it."""
        spot = locate(node, at)
        mask = self.values.mask
        self.problems.append(Problem(spot.node.file, spot.line, mask(node, message), mask(node, hint)))

    def warn(self, node: Node, message: str, at: tuple[str | int, ...] = ()) -> None:
        """Note something odd that is no mistake."""
        spot = locate(node, at)
        self.warnings.append(f"{spot.node.file}:{spot.line}: {self.values.mask(node, message)}")

    def dangling(
        self, node: Node, message: str, name: str, known: AbstractMapping[str, Any], at: tuple[str | int, ...] = ()
    ) -> None:
        """Note a reference to something that does not exist."""
        what = "known" if known else ""
        self.problem(node, message, did_you_mean(name, known, what) or "none is defined", at)
