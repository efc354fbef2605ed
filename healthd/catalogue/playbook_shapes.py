"""Playbooks as people write them: steps for a person, and those that healthd looks at by itself."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from healthd.catalogue.fields import AlsoWritten, PositiveDuration, Words, one_or_many
from healthd.catalogue.problems import RefusedError, did_you_mean
from healthd.catalogue.shapes import ProbeShape, RowReferences, Shape
from healthd.model.catalogue import FINDING_WORDS

_BRACED = re.compile(r"\{(\w*)\}")


class StepShape(Shape):
    """One step for a person."""

    title: str = ""
    """what to do; default: the command"""
    command: str = ""
    """the exact command, shown and never executed"""
    when: str = ""
    """when the step applies"""
    expect: str = ""
    """what it should show"""
    covers: Words = ()
    """items of the runbook it takes care of"""

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return {"title": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _something(self) -> StepShape:
        if not (self.title or self.command or getattr(self, "check", "")):
            raise RefusedError("an empty step", "expected a title or a command")
        return self


class DiagnosticShape(StepShape):
    """One step that finds out more: for a person, or looked at by healthd when an incident opens."""

    probe: ProbeShape | None = None
    """a probe type and its parameters: what healthd looks at by itself"""
    check: str = ""
    """or a check whose look this is: a name of this system, or system/name"""
    thresholds: RowReferences = ()
    """what is a finding: a row's name, a row, or a list of either"""
    timeout: PositiveDuration | None = None
    """for the look; at most 30s"""
    enabled: bool = True
    """whether healthd looks by itself"""
    finding: str = ""
    """what it means when the look is not in order; {value}, {series}, {limit} and {measure} are filled in"""
    suggest: str = ""
    """the command to try then, shown and never executed; the same words are filled in"""

    @model_validator(mode="after")
    def _one_look(self) -> DiagnosticShape:
        looks = self.probe is not None or bool(self.check)
        if self.probe is not None and self.check:
            raise RefusedError("'probe' and 'check' exclude each other", "keep the one to look through")
        for key in ("finding", "suggest", "timeout"):
            if getattr(self, key) and not looks:
                raise RefusedError(
                    f"{key!r} belongs to a step that is looked at", "add probe or check, or leave it out"
                )
        if self.thresholds and self.probe is None:
            raise RefusedError("'thresholds' belong to a probe", "a check is judged by its own")
        for word in _BRACED.findall(self.finding):  # a command may hold braces of its own
            if word not in FINDING_WORDS:
                hint = did_you_mean(word, FINDING_WORDS, "known")
                raise RefusedError(f"finding: nothing is known as {{{word}}}", hint)
        return self


_ALSO_TEXT = AlsoWritten({"type": "string"})
_ALSO_ONE = AlsoWritten({"type": ["string", "object"]})
Steps = Annotated[tuple[Annotated[StepShape, _ALSO_TEXT], ...], BeforeValidator(one_or_many), _ALSO_ONE]
Diagnostics = Annotated[tuple[Annotated[DiagnosticShape, _ALSO_TEXT], ...], BeforeValidator(one_or_many), _ALSO_ONE]


class PlaybookShape(Shape):
    """What to do about one kind of failure."""

    title: str = ""
    """for people; default: the name"""
    url: str = ""
    """where it is documented"""
    severity: str | None = None
    """its documented severity"""
    response: PositiveDuration | None = None
    """how soon somebody is to respond to it, where that is not what its severity says"""
    symptoms: Words = ()
    """how the failure shows"""
    likely_cause: str = ""
    """what is usually behind it"""
    diagnostics: Diagnostics = ()
    """how to find out more"""
    remediation: Steps = ()
    """how to mend it"""
    covers: Words = ()
    """items of the runbook it takes care of"""
