"""Kubernetes' own notations: selectors, quantities, times, lists that arrive in pieces, the roles a catalogue needs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Guarded, Rule, roles
from healthd.probes.kubernetes.json_items import ItemReader, NotAListError
from healthd.probes.kubernetes.selectors import read_selector
from healthd.probes.kubernetes.values import age, moment, quantity

LABELS = {"app": "web", "tier": "front", "empty": "", "k8s.example.com/name": "shop"}


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("", True), ("app=web", True), ("app == web", True), ("app=db", False), ("app!=db", True), ("app!=web", False),
        ("no!=web", True), ("app", True), ("no", False), ("!no", True), ("! app", False), ("empty=", True),
        ("app in (web,db)", True), ("app in (db)", False), ("app notin (db)", True), ("no notin (db)", True),
        ("app notin (web)", False), ("app=web,tier=front", True), ("app=web, tier=back", False),
        ("k8s.example.com/name=shop", True), ("app in (web, db),!no,tier", True),
    ],
)  # fmt: skip
def test_selectors_hold_as_kubernetes_has_it(selector: str, holds: bool) -> None:
    assert read_selector(selector).holds(LABELS) is holds


@pytest.mark.parametrize(
    "wrong", ["app=web,,tier", "app in web", "=web", "app=a b", "app in (a b)", "-x", "a=b;c=d", ","]
)
def test_what_is_no_selector(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"cannot"):
        read_selector(wrong)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("250m", 0.25), ("2", 2), (3, 3), ("1.5", 1.5), ("128Mi", 134217728), ("1Gi", 2**30), ("1G", 1e9),
        ("1e3", 1000), ("12E", 12e18), ("100k", 1e5), ("123456789n", 0.123456789), ("5u", 5e-6), ("0", 0),
        (None, None), ("much", None), ("1e999", None), (True, None), ("", None), ("Gi", None), ("-1", -1),
    ],
)  # fmt: skip
def test_quantities(written: object, number: float | None) -> None:
    assert quantity(written) == pytest.approx(number) if number is not None else quantity(written) is None


def test_moments() -> None:
    then = moment("2026-03-01T12:00:00Z")
    assert then == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert moment("2026-03-01T12:00:00.123456Z") is not None
    assert moment(None) is moment("") is None
    assert age(then, datetime(2026, 3, 1, 12, 1, tzinfo=UTC)) == 60
    assert age(then, datetime(2026, 3, 1, 11, tzinfo=UTC)) == 0
    with pytest.raises(ValueError, match="Invalid"):
        moment("yesterday")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5), st.integers(1, 40), st.booleans(), st.booleans())
def test_items_are_read_however_they_arrive(items: list[object], size: int, first: bool, spaced: bool) -> None:
    metadata = {"kind": "List", "metadata": {"continue": "töken"}}
    document = {"items": items, **metadata} if first else {**metadata, "items": items}
    data = json.dumps(document, ensure_ascii=False, indent=2 if spaced else None).encode()
    reader, found = ItemReader(), []
    for start in range(0, len(data), size):
        found += list(reader.feed(data[start : start + size]))
    found += list(reader.feed(b"", final=True))
    assert found == items
    assert reader.members == metadata


@pytest.mark.parametrize(
    "wrong", [b"", b"[]", b"{}", b'{"items": [1', b'{"items" 5}', b'{"items": [1] ', b"nonsense", b"\xff"]
)
def test_what_is_no_list(wrong: bytes) -> None:
    with pytest.raises(NotAListError):
        list(ItemReader().feed(wrong, final=True))


def test_a_list_of_nothing_may_be_null() -> None:
    assert list(ItemReader().feed(b'{"items": null}', final=True)) == []


def test_an_object_without_end_is_not_kept() -> None:
    reader = ItemReader()
    fed = 0

    def feed_for_ever() -> None:
        nonlocal fed
        assert list(reader.feed(b'{"items": ["')) == []
        while True:
            fed += len(list(reader.feed(b"x" * 100_000))) or 100_000

    with pytest.raises(NotAListError, match="more than 16 MB"):
        feed_for_ever()
    assert fed < 25_000_000


def test_the_least_roles() -> None:
    made = roles([
        Rule("list", "pods", "", "shop"), Rule("get", "pods/log", "", "shop"), Rule("list", "events", "", "shop"),
        Rule("list", "deployments", "apps", "shop"), Rule("list", "nodes"), Rule("list", "events"),
        Rule("list", "pods", "", "shop"),
    ])  # fmt: skip
    assert [(role["kind"], role["metadata"].get("namespace")) for role in made] == [
        ("ClusterRole", None),
        ("Role", "shop"),
    ]
    assert made[0]["rules"] == [{"apiGroups": [""], "resources": ["events", "nodes"], "verbs": ["list"]}]
    assert made[1]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    ]


def test_every_kubernetes_probe_says_what_it_needs() -> None:
    for kind, probe in PROBES.items():
        assert isinstance(probe, Guarded) or not kind.startswith("kubernetes_")
