"""The body of a message: a snapshot of an incident, complete enough that a channel needs nothing else to render it.

Plain JSON-able data, because it waits in the database; redacted before it is stored. Keys:

    event       firing | worsened | improved | resolved | updated | escalated | test
    incident    {id, key, url, title, severity, level, opened_at, resolved_at, reason, acknowledged_by, reopened,
                merged_into}   (how often it was reopened; the id of the storm that it is part of from now on, or "")
    system      {name, title}
    lead        [{name, text, code}]: what a person needs first, in order: what is broken, since when, value against
                limit, likely cause, first command to try (`code`: to be shown as a command). What is not known is
                left out
    first_step  null, or the first thing to do: {title, command, when, from: diagnosis | diagnostics | remediation}
    check       {id, name, title, url, runbook_url, description, labels: {..}, source}
    values      [{measure, series, value, text, unit, level, limit, target, acceptable, warning, critical}]
                (worst first; `text` is the value for people, the limits are the texts as written)
    evidence    [{title, text}]
    playbook    null or {name, title, url, likely_cause, symptoms: [..],
                diagnostics: [{title, when, command}], remediation: [{title, when, command}]}
    members     null, or the checks of the incident:
                {total, failing, recovered, storm, worst,   (worst: the severity of the worst one)
                 systems: [{name, title, failing, total}]   (most failing first)
                 checks: [{id, title, system, level, severity, since, reason, url, recovered}]   (worst first)
                 more}   (how many are not listed; the incident's page and API have them all, with their values)
                The keys `check`, `values`, `evidence` and `playbook` are about the worst of them
    suppressed  [check ids kept quiet because they depend on this one]
    diagnosis   null, or what the playbook's steps found when they were last run:
                {at, seconds, severity, steps, answered,
                 findings: [{title, level, text, command}]   (worst first: the first is the likely cause)
                 results: [{title, level, text, evidence, command, error}]   (in the order of the steps)}
    update      null, or what is new of an incident that is itself as before:
                {kind: joined | recovered | storm | diagnosed | progress | escalated | unanswered | lapsed,
                 text, level, title, who, address}
                (the last four, of the level escalated to, are "" for other kinds; text is one sentence for people)
    at          RFC 3339 time of the event
    pagerduty   PagerDuty severity: critical | error | warning | info

A notice (see Notice) is told with these keys instead:

    event       notice
    notice      {id, kind, title, text, severity, cadence, url, fields: [{name, value}], details: {..}}
    system      {name, title}
    at          RFC 3339 time of the notice

Times are RFC 3339 in UTC with a "Z"; levels are lower-case words (ok, warning, critical, unknown). `value` is a number,
a word, or null when the measure is missing or not finite. Texts without content are "". Lists and texts are bounded
(compose.py says how).
"""

from __future__ import annotations

from typing import Any, Protocol

from healthd.model.incidents import Message

Body = dict[str, Any]


class Channel(Protocol):
    """Sends one message. Returns when the receiver accepted it; raises ChannelError otherwise."""

    async def send(self, message: Message) -> None:
        """Deliver `message`, once, within the channel's own time-out."""

    async def close(self) -> None:
        """Release connections."""
