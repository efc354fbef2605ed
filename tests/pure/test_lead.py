"""What a message leads with, and how it shows the checks of an incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from healthd.model.catalogue import Catalogue, Severity
from healthd.model.incidents import Member
from healthd.model.outcomes import Level, Verdict
from healthd.notify import compose_members
from tests.factories import make_check
from tests.telling import AT, PLAYBOOK, make_body, make_incident, make_system

FOUND = {"title": "Deployments", "level": "critical", "text": "backend was deployed 12m ago", "command": "kubectl undo"}


def lines(body: dict[str, Any]) -> dict[str, str]:
    return {line["name"]: line["text"] for line in body["lead"]}


def test_it_leads_with_what_is_broken_since_when_by_how_much_why_and_what_to_do_in_that_order() -> None:
    body = make_body()
    assert [line["name"] for line in body["lead"]] == ["What", "Since", "Value", "Likely cause", "First command"]
    assert lines(body) == {
        "What": "The Shop: Shop front is slow",
        "Since": "2026-01-02T14:59:05Z",
        "Value": "latency 1.2s, limit >= 1s (target < 200ms)",
        "Likely cause": "the cache is cold",
        "First command": "redis-cli info memory",
    }
    assert [line["code"] for line in body["lead"]] == [False, False, False, False, True]


def test_that_something_is_not_up_is_no_value_to_lead_with() -> None:
    up = Verdict("up", "up", "", 0, None, Level.CRITICAL, "= 0")
    status = Verdict("status", "status", "", 503, None, Level.CRITICAL, ">= 500")
    assert lines(make_body(verdicts=(up, status)))["Value"] == "status 503, limit >= 500"
    assert lines(make_body(verdicts=(up,)))["Value"] == "latency 1.2s >= 1s", "the reason"


def test_what_was_found_goes_before_what_is_usual() -> None:
    body = make_body(incident=make_incident(details={"diagnosis": {"findings": [FOUND], "results": []}}))
    assert lines(body)["Likely cause"] == "backend was deployed 12m ago"
    assert body["first_step"]["command"] == lines(body)["First command"] == "kubectl undo"
    assert body["first_step"]["from"] == "diagnosis"


def test_a_finding_without_a_command_leaves_the_command_to_the_playbook() -> None:
    finding = {**FOUND, "command": ""}
    body = make_body(incident=make_incident(details={"diagnosis": {"findings": [finding], "results": []}}))
    assert body["first_step"]["from"] == "diagnostics"


def test_mending_is_the_first_step_where_nothing_is_to_be_found_out() -> None:
    body = make_body(playbook=replace(PLAYBOOK, diagnostics=()))
    assert (body["first_step"]["from"], body["first_step"]["when"]) == ("remediation", "after a restart")


def test_what_is_not_known_is_left_out_and_the_reason_stands_for_a_value() -> None:
    body = make_body(playbook=None, verdicts=())
    assert list(lines(body)) == ["What", "Since", "Value"]
    assert lines(body)["Value"] == "latency 1.2s >= 1s"
    assert body["first_step"] is None


def members(count: int) -> list[Member]:
    """The last one the worst, of another system; every fourth recovered."""
    made = [
        Member(
            "INC-1", f"shop/c{n}", Level.WARNING, "SEV2", AT + timedelta(seconds=n), "slow",
            recovered_at=AT if n % 4 == 3 else None,
        )
        for n in range(count - 1)
    ]  # fmt: skip
    return [*made, Member("INC-1", "bank/ledger", Level.CRITICAL, "P1", AT, "password=hunter2")]


def test_members_are_counted_by_system_and_the_worst_are_named() -> None:
    systems = {
        "shop": make_system(),
        "bank": make_system(name="bank", title="The Bank", severities={"P1": Severity("P1", 1)}),
    }
    checks = {"bank/ledger": make_check(system="bank", name="ledger", title="The ledger")}
    catalogue = Catalogue(systems, {}, (), checks=checks)
    shown = compose_members(
        make_incident(storm=True), members(41), catalogue, "https://healthd.example/",
        lambda text: text.replace("hunter2", "***"),
    )  # fmt: skip
    assert shown is not None
    assert (shown["total"], shown["failing"], shown["recovered"], shown["more"]) == (41, 31, 10, 31)
    assert (shown["storm"], shown["worst"]) == (True, "P1")
    assert [(s["name"], s["failing"], s["total"]) for s in shown["systems"]] == [("shop", 30, 40), ("bank", 1, 1)]
    first, second = shown["checks"][:2]
    assert (first["id"], first["title"], first["reason"]) == ("bank/ledger", "The ledger", "password=***")
    assert first["url"] == "https://healthd.example/checks/bank/ledger"
    assert (second["id"], second["recovered"], len(shown["checks"])) == ("shop/c0", False, 10)
