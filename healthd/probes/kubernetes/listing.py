"""Lists of objects: page by page, one object at a time, once for all checks that ask for the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.errors import RefusedError
from healthd.probes.kubernetes.json_items import ItemReader, NotAListError
from healthd.probes.kubernetes.params import ClusterParams, NamespacedParams
from healthd.probes.kubernetes.selectors import Selector

__all__ = ["Kind", "Labelled", "Objects", "list_everywhere", "list_objects", "list_rules"]

PAGE = 1000  # objects asked for at once
OBJECTS_MAX = 50_000


class Labelled(Protocol):
    """What is kept of an object."""

    @property
    def labels(self) -> Mapping[str, str]: ...


T = TypeVar("T", bound=Labelled)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of object and what is kept of each.

    `versions`: "v1" or "group/version", the newest first; older ones are asked for where a server lacks it.
    `query` narrows the list on the server ("fieldSelector"). `absent` is said where none of them is served.
    More than `most` are too many to look at.
    """

    plural: str
    versions: tuple[str, ...]
    read: Callable[[dict[str, Any]], T]
    query: tuple[tuple[str, str], ...] = ()
    absent: str = ""
    most: int = OBJECTS_MAX

    @property
    def group(self) -> str:
        """The API group, "" for the core."""
        return self.versions[0].rpartition("/")[0]

    def path(self, version: str, namespace: str) -> str:
        """Where the list is; `namespace` "" for the objects of all namespaces, and for those that have none."""
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


class Objects(Generic[T]):
    """The objects of a list, found quickly by label; and by whatever else a probe groups them by."""

    def __init__(self, items: list[T]) -> None:
        self.items = items
        self._by_label: dict[tuple[str, str], list[T]] | None = None
        self._groups: dict[str, dict[str, list[T]]] = {}

    def select(self, selector: Selector) -> list[T]:
        """Those the selector selects, in the order of the list."""
        if not selector:
            return self.items
        label = selector.exact()
        candidates = self._index().get(label, []) if label is not None else self.items
        return [item for item in candidates if selector.holds(item.labels)]

    def grouped(self, attribute: str) -> Mapping[str, list[T]]:
        """The objects by the text in one of their attributes."""
        if attribute not in self._groups:
            groups = self._groups[attribute] = {}
            for item in self.items:
                groups.setdefault(getattr(item, attribute), []).append(item)
        return self._groups[attribute]

    def _index(self) -> dict[tuple[str, str], list[T]]:
        if self._by_label is None:
            self._by_label = {}
            for item in self.items:
                for label in item.labels.items():
                    self._by_label.setdefault(label, []).append(item)
        return self._by_label


def list_rules(kind: Kind[Any], namespaces: Iterable[str]) -> tuple[Rule, ...]:
    """What listing needs."""
    return tuple(Rule("list", kind.plural, kind.group, namespace) for namespace in namespaces)


async def list_objects(kind: Kind[T], params: NamespacedParams, context: ProbeContext) -> list[T]:
    """The selected objects of all namespaces asked for. Raises ProbeError."""
    found: list[T] = []
    for namespace in params.lists:
        found += (await list_everywhere(kind, params, context, namespace)).select(params.selector)
    return found


async def list_everywhere(
    kind: Kind[T], params: ClusterParams, context: ProbeContext, namespace: str = ""
) -> Objects[T]:
    """All objects of a namespace, or of the cluster. Raises ProbeError."""
    # `read` too: probes that keep something else of the same objects cannot share a list
    asked = (kind.plural, kind.versions, kind.query, kind.read)
    key: Hashable = ("kubernetes", params.kubeconfig, params.context, *asked, namespace)

    async def ask() -> Objects[T]:
        cluster = await cluster_of(params, context)
        return await cluster.recent(key, lambda: _list(cluster, kind, namespace, context))

    return await context.once(key, ask)


async def _list(cluster: Cluster, kind: Kind[T], namespace: str, context: ProbeContext) -> Objects[T]:
    where = f" in namespace {namespace}" if namespace else ""
    return await within(context, cluster, f"listing {kind.plural}{where}", _list_any_version(cluster, kind, namespace))


async def _list_any_version(cluster: Cluster, kind: Kind[T], namespace: str) -> Objects[T]:
    for version in kind.versions[:-1]:
        try:
            return await _list_from_start(cluster, kind, version, namespace)
        except RefusedError as refused:
            if refused.status != 404:
                raise
    return await _list_from_start(cluster, kind, kind.versions[-1], namespace)


async def _list_from_start(cluster: Cluster, kind: Kind[T], version: str, namespace: str) -> Objects[T]:
    try:
        return await _list_pages(cluster, kind, version, namespace)
    except RefusedError as refused:
        if refused.status != 410:
            raise
    # the token of the next page was too old: what the first pages said is, too
    return await _list_pages(cluster, kind, version, namespace)


async def _list_pages(cluster: Cluster, kind: Kind[T], version: str, namespace: str) -> Objects[T]:
    rule = Rule("list", kind.plural, kind.group, namespace)
    absent = kind.absent or f"{cluster.server} serves no {kind.plural} in {version}"
    items: list[T] = []
    token = ""
    while True:
        query = {**dict(kind.query), "limit": PAGE, **({"continue": token} if token else {})}
        reader = ItemReader()
        async with cluster.open(kind.path(version, namespace), query, rule=rule, absent=absent) as response:
            try:
                async for chunk in response.content.iter_any():
                    items.extend(_read(kind, reader.feed(chunk)))
                    _check_count(kind, len(items))
                items.extend(_read(kind, reader.feed(b"", final=True)))
            except NotAListError as error:
                raise ProbeError(
                    f"{cluster.server} did not answer with a list of {kind.plural}: {error}", "protocol"
                ) from None
        token = _next_page(reader.members)
        if not token:
            return Objects(items)


def _next_page(members: dict[str, Any]) -> str:
    metadata = members.get("metadata")
    return str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""


def _read(kind: Kind[T], items: Iterator[Any]) -> Iterator[T]:
    for item in items:
        try:
            yield kind.read(item)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise NotAListError(f"an object that is none of {kind.plural} ({type(error).__name__})") from None


def _check_count(kind: Kind[Any], count: int) -> None:
    if count > kind.most:
        raise ProbeError(f"there are more than {kind.most} {kind.plural}: name a namespace", "limit")
