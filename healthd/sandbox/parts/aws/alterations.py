"""What is changed in moto's answers: states and ages that it has no way to set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from healthd.sandbox.parts.aws.wire import Refusal

Key = tuple[str, str]  # service, operation
Fields = Mapping[str, Any]


class Alterations:
    """By service and operation: in everything of an answer that has the fields of `where`, other fields are set."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._by_operation: dict[Key, dict[tuple[str, ...], dict[tuple[Any, ...], dict[str, Any]]]] = {}
        self._refusals: dict[Key, Refusal] = {}
        self.services: set[str] = set()

    def alter(self, service: str, operation: str, where: Fields, fields: Fields) -> None:
        """Set `fields` from now on; None takes a field away, {"ago": seconds} is a moment that moves along.

        Names in `where` may lead into a field: "Target.Id".
        """
        names = tuple(sorted(where))
        values = tuple(where[name] for name in names)
        by_names = self._by_operation.setdefault((service, operation), {})
        by_names.setdefault(names, {}).setdefault(values, {}).update(fields)
        self.services.add(service)

    def refuse(self, service: str, operation: str, code: str, message: str = "", status: int = 400) -> None:
        """Answer an operation ("*": any of the service) with an error."""
        self._refusals[service, operation] = Refusal(code, message, status)
        self.services.add(service)

    def allow(self, service: str, operation: str) -> None:
        """Answer it again."""
        self._refusals.pop((service, operation), None)

    def refusal(self, service: str, operation: str) -> Refusal | None:
        """The error to answer with, if there is one."""
        return self._refusals.get((service, operation)) or self._refusals.get((service, "*"))

    def touch(self, service: str, operation: str) -> bool:
        """Whether something of that operation's answers is changed."""
        return (service, operation) in self._by_operation

    def apply(self, service: str, operation: str, answer: Any) -> None:
        """Change an answer in place."""
        if isinstance(answer, list):
            for item in answer:
                self.apply(service, operation, item)
        elif isinstance(answer, dict):
            for names, by_values in self._by_operation[service, operation].items():
                fields = by_values.get(tuple(_at(answer, name) for name in names))
                for name, value in (fields or {}).items():
                    self._set(answer, name, value)
            for item in answer.values():
                self.apply(service, operation, item)

    def _set(self, thing: dict[str, Any], name: str, value: Any) -> None:
        if value is None:
            thing.pop(name, None)
        else:
            thing[name] = self._moved(value)

    def _moved(self, value: Any) -> Any:
        """The value with every {"ago": seconds} in it as the moment that is now."""
        if isinstance(value, Mapping):
            if value.keys() == {"ago"}:
                return self._clock() - timedelta(seconds=value["ago"])
            return {name: self._moved(item) for name, item in value.items()}
        return [self._moved(item) for item in value] if isinstance(value, list) else value


def _at(answer: Any, path: str) -> Any:
    for name in path.split("."):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer if isinstance(answer, str | int | float | bool) else None
