"""What stands below a key of a shape, read from its source when somebody asks: always would slow every start."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
from functools import cache

from pydantic import BaseModel


def description(model: type[BaseModel], name: str) -> str:
    """What a field is for: its own description, else the words below it. Empty without both."""
    if (own := model.model_fields[name].description) is not None:
        return own
    for cls in model.__mro__:
        if name in inspect.get_annotations(cls):
            return _below_fields(cls.__module__).get((cls.__qualname__, name), "")
    return ""


@cache
def _below_fields(module: str) -> dict[tuple[str, str], str]:
    """By class and field. Empty for a module whose source is not there."""
    try:
        source = inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError):
        return {}
    return {
        (cls.name, field.target.id): inspect.cleandoc(words.value.value)
        for cls in ast.parse(source).body if isinstance(cls, ast.ClassDef)
        for field, words in itertools.pairwise(cls.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant) and isinstance(words.value.value, str)
    }  # fmt: skip
