"""Jinja2 for texts that people write: no attribute, call or loop can reach beyond the message or run without end.

Jinja2's own sandbox keeps templates from Python's insides and from changing what they are given. This one bounds what
they can use up as well: steps of loops and macros, the size of every text and list made on the way, and time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_STEPS = 20_000
MAX_SECONDS = 0.5
MAX_SIZE = 100_000  # characters of a text, or items of a list, made on the way
MAX_DEPTH = 6  # of a value written out whole
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr"),
    *("sort", "sum", "title", "trim", "unique", "upper"),
)
_METHODS = frozenset(
    {"get", "items", "keys", "values", "lower", "upper", "strip", "lstrip", "rstrip", "split", "startswith", "endswith"}
)


class TooMuchError(TemplateError):
    """A template used more than it may."""


@dataclass(slots=True)
class Budget:
    """Of one rendering."""

    until: float
    steps: int = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        """Raises TooMuchError."""
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchError(f"more than {MAX_STEPS} steps of loops")
        if time.monotonic() > self.until:
            raise TooMuchError(f"it took longer than {MAX_SECONDS:g} s")


_budget: ContextVar[Budget] = ContextVar("healthd_template_budget")


def bounded(value: Any) -> Any:
    """The value, unless it is too large to go on with."""
    if isinstance(value, str | bytes | list | tuple | dict) and len(value) > MAX_SIZE:
        raise TooMuchError(f"a text or list of more than {MAX_SIZE} characters or items")
    return value


def written(value: Any, depth: int = 0) -> str:
    """A value as text; lists and mappings as JSON."""
    _budget.get().spend()
    if isinstance(value, str | bool | int | float):
        return str(value)
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return "{" + _joined((f"{json.dumps(str(k))}: {_quoted(v, depth)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + _joined(_quoted(item, depth) for item in value) + "]"
    return ""


def _quoted(value: Any, depth: int) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else written(value, depth + 1) or "null"


def _joined(texts: Iterable[str], between: str = ", ") -> str:
    pieces: list[str] = []
    size = 0
    for text in texts:
        size += len(text) + len(between)
        if size > MAX_SIZE:
            raise TooMuchError(f"a text of more than {MAX_SIZE} characters")
        pieces.append(text)
    return between.join(pieces)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates are made by `read` and rendered by `fill`."""

    intercepted_binops = frozenset({"+", "*", "**", "%", "//", "/", "-"})
    intercepted_unops = frozenset()

    def __init__(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(autoescape=False, trim_blocks=True, lstrip_blocks=True, finalize=written)
        allowed = {name: self.filters[name] for name in _FILTERS}
        own = {"join": _join, "replace": _replace, "truncate": _truncate, "round": _round, "string": written}
        self.filters = {**allowed, **own, "tojson": written, **filters}
        self.globals = {"range": _range, "namespace": self.globals["namespace"]}
        self.concat = _joined_all  # type: ignore[method-assign]

    def read(self, source: str) -> Template:
        """The template of a text. Raises TemplateError with the line that is wrong."""
        tree = _Counted().visit(self.parse(source))
        return Template.from_code(self, self.compile(tree), self.make_globals(None))

    def fill(self, template: Template, values: Mapping[str, Any], limit: int) -> str:
        """At most `limit` characters; a longer text is cut. Raises TemplateError, or whatever its expressions raise."""
        token = _budget.set(Budget(time.monotonic() + MAX_SECONDS))
        pieces: list[str] = []
        size = 0
        try:
            for piece in template.generate(values):
                pieces.append(piece)
                size += len(piece)
                _budget.get().spend()
                if size > limit:
                    break
        finally:
            _budget.reset(token)
        text = "".join(pieces)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def step(self) -> str:
        """Counts a turn of a loop or a macro."""
        _budget.get().spend()
        return ""

    def strung(self, *values: Any) -> str:
        """`~`."""
        return _joined((written(value) for value in values), "")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic whose result stays small."""
        _budget.get().spend()
        if isinstance(left, int | float) and isinstance(right, int | float):
            if operator == "**" and (abs(left) > 1e6 or abs(right) > 50):
                raise TooMuchError("a power of numbers this large")
            value = super().call_binop(context, operator, left, right)
            if abs(value) > 1e300 or not math.isfinite(value):
                raise TooMuchError("a number this large")
            return value
        if operator == "+" and type(left) is type(right) and isinstance(left, str | list | tuple):
            return bounded(left + right)
        raise TooMuchError(f"{operator} is for numbers; texts are joined with ~")

    def wrap_str_format(self, value: Any) -> None:
        """No text formats itself: a width can be any number."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """The plain methods of texts and mappings; what makes texts or bytes of any length is not among them."""
        if callable(value) and isinstance(obj, str | bytes | Mapping | list | tuple | int | float | range):
            return attr in _METHODS
        return bool(super().is_safe_attribute(obj, attr, value))


class _Counted(NodeTransformer):
    """Has every turn of a loop and every call of a macro counted, and every joining of texts bounded."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """What stands in place of a node, those within it first."""
        found: Any = self.generic_visit(node)
        if isinstance(found, nodes.Concat):
            call = nodes.EnvironmentAttribute("strung")
            return nodes.Call(call, found.nodes, [], None, None, lineno=found.lineno)
        if isinstance(found, nodes.For | nodes.Macro | nodes.CallBlock):
            step = nodes.Call(nodes.EnvironmentAttribute("step"), [], [], None, None, lineno=found.lineno)
            found.body.insert(0, nodes.ExprStmt(step, lineno=found.lineno))
        return found


def _joined_all(texts: Iterable[str]) -> str:
    return _joined(texts, "")


def _range(*numbers: int) -> range:
    found = range(*numbers)
    if len(found) > 1000:
        raise TooMuchError("a range of more than 1000 numbers")
    return found


def _join(values: Iterable[Any], between: str = "") -> str:
    return _joined((written(value) for value in values), written(between))


def _replace(text: Any, old: str, new: str) -> str:
    whole, old, new = written(text), written(old), written(new)
    if len(whole) + whole.count(old) * max(0, len(new) - len(old)) > MAX_SIZE:
        raise TooMuchError(f"a text of more than {MAX_SIZE} characters")
    return whole.replace(old, new)


def _truncate(text: Any, length: int = 255, end: str = "…") -> str:
    whole = written(text)
    return whole if len(whole) <= length else whole[: max(0, length - len(end))] + end


def _round(value: Any, digits: int = 0) -> float:
    return round(float(value), max(-15, min(int(digits), 15)))
