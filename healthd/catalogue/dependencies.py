"""Which check waits for which: every name must exist, and nothing may wait for itself."""

from __future__ import annotations

from collections.abc import Mapping

from healthd.catalogue.checks import qualified
from healthd.catalogue.context import Context
from healthd.catalogue.fields import one_or_many
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node

Edges = Mapping[str, tuple[str, ...]]


def check_dependencies(written: Mapping[str, MappingNode], complete: bool, context: Context) -> None:
    """Note dangling dependencies and cycles. `written`: every check as written, by id."""
    edges = {
        id_: _dependencies(id_, body, context) for id_, node in written.items() if (body := node.get("depends_on"))
    }
    beside: dict[str, dict[str, MappingNode]] = {}  # by system, then by name
    for id_, node in written.items():
        system, _, name = id_.partition("/")
        beside.setdefault(system, {})[name] = node
    for id_, wanted in edges.items():
        system = id_.partition("/")[0]
        for index, target in enumerate(wanted):
            if target and target not in written and complete:
                name = target.removeprefix(f"{system}/")
                known = written if "/" in name else beside[system]
                told = f"check {id_}: depends on unknown check {name!r}"
                context.dangling(written[id_], told, name, known, ("depends_on", index))
    for cycle in _cycles(edges):
        path = " -> ".join((*cycle, cycle[0]))
        context.problem(written[cycle[0]], f"check {cycle[0]}: depends on itself: {path}", at=("depends_on",))


def _dependencies(id_: str, body: Node, context: Context) -> tuple[str, ...]:
    names = one_or_many(context.values.build(body, f"check {id_}"))
    system = id_.partition("/")[0]
    return tuple(qualified(system, name) if isinstance(name, str) and name else "" for name in names)


def _cycles(edges: Edges) -> list[list[str]]:
    """Each cycle once, beginning with its first check in reading order. Walks with a stack of its own."""
    order = {id_: position for position, id_ in enumerate(edges)}
    done: set[str] = set()
    cycles = []
    for start in edges:
        path: list[str] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        on_path = {start: 0} if stack else {}
        path = [start] if stack else []
        while stack:
            id_, targets = stack[-1]
            target = next((t for t in targets if t in edges and t not in done), None)
            if target is None:
                stack.pop()
                path.pop()
                del on_path[id_]
                done.add(id_)
            elif target in on_path:
                cycle = path[on_path[target] :]
                first = min(range(len(cycle)), key=lambda i: order[cycle[i]])
                cycles.append(cycle[first:] + cycle[:first])
            else:
                on_path[target] = len(path)
                path.append(target)
                stack.append((target, iter(edges[target])))
    return cycles
