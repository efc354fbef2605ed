"""What the Kubernetes probes have in common as parameters: which cluster, which namespaces, which objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from healthd.probes.base import OneOrMany, Params
from healthd.probes.kubernetes.selectors import Selector, read_selector

__all__ = [
    "EVERY_NAMESPACE",
    "ClusterParams",
    "Labels",
    "Names",
    "NamespacedParams",
    "Namespaces",
    "listed_names",
    "matcher",
]

EVERY_NAMESPACE = "*"


def _namespaces(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not all(names):
        raise ValueError("name at least one namespace, or '*' for all of them")
    if EVERY_NAMESPACE in names:
        return (EVERY_NAMESPACE,)
    if odd := next((name for name in names if not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")), None):
        raise ValueError(f"{odd!r} is not a namespace: expected its exact name, or '*' alone for all namespaces")
    return tuple(dict.fromkeys(names))


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


Namespaces = Annotated[OneOrMany, AfterValidator(_namespaces)]
Labels = Annotated[
    Selector,
    BeforeValidator(read_selector),
    WithJsonSchema({"type": ["string", "object"], "additionalProperties": {"type": "string"}}),
]
Names = OneOrMany  # exact names or globs


class ClusterParams(Params):
    """Which cluster, and as whom.

    Without `kubeconfig`: inside a pod its service account, elsewhere $KUBECONFIG or ~/.kube/config, as kubectl does.
    `context` names one of the kubeconfig's contexts; without it the current one.
    """

    kubeconfig: Annotated[str, AfterValidator(_expanded)] | None = None
    context: str | None = None


class NamespacedParams(ClusterParams):
    """Objects of one namespace, several, or all (`"*"`), by label selector and by name (globs are allowed)."""

    namespace: Namespaces
    selector: Labels = Selector()
    name: Names = ()

    @property
    def lists(self) -> tuple[str, ...]:
        """The namespaces to list, "" standing for all at once."""
        return listed_names(self.namespace)

    def which(self) -> str:
        """Selector and names in words, with a space at the end if there are any."""
        wanted = {"matching": str(self.selector), "called": ", ".join(self.name)}
        return "".join(f"{word} {value} " for word, value in wanted.items() if value)

    def place(self) -> str:
        """The namespaces in words."""
        if self.namespace == (EVERY_NAMESPACE,):
            return "in any namespace"
        return f"in namespace{'s' if len(self.namespace) > 1 else ''} {', '.join(self.namespace)}"

    def series(self, item: Any) -> str:
        """What an object is called: its name, with the namespace in front where there can be several."""
        alone = len(self.namespace) == 1 and self.namespace != (EVERY_NAMESPACE,)
        return str(item.name) if alone else f"{item.namespace}/{item.name}"


def listed_names(namespaces: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces to list, "" standing for all at once."""
    return tuple("" if name == EVERY_NAMESPACE else name for name in namespaces)


def matcher(wanted: tuple[str, ...]) -> Callable[[str], object]:
    """Tells whether a name is one of those wanted (names and globs); none wanted means every one."""
    return re.compile("|".join(map(translate, wanted))).match
