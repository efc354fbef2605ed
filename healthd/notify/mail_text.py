"""A message as an e-mail: headers that make a conversation of an incident, plain text, and HTML. Pure."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any

from healthd import __version__
from healthd.model.incidents import Message
from healthd.notify import words
from healthd.notify.markdown import to_html, to_plain

MAX_SUBJECT = 200
_COLOURS = {"critical": "#c0392b", "warning": "#d68910", "unknown": "#7f8c8d", "ok": "#1e8449"}


def compose_mail(message: Message, sender: str, to: Sequence[str]) -> EmailMessage:
    """The whole mail. Every attempt has the same Message-ID, so that a repetition can be recognised."""
    body = message.body
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMessage(policy=SMTP.clone(max_line_length=200))
    mail["From"] = _address(sender)
    mail["To"] = tuple(_address(one) for one in to)
    mail["Subject"] = _subject(body)
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = _id(message.id, domain)
    if not words.is_notice(body) and message.event != "test":
        # a message that no one sent, as the root of the conversation: whichever mail comes first
        root = _id(body["incident"]["key"], domain)
        mail["In-Reply-To"] = root
        mail["References"] = root
        mail["X-Healthd-Incident"] = _line(body["incident"]["id"], 100)
    mail["X-Healthd-Event"] = message.event
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Mailer"] = f"healthd/{__version__}"
    mail.set_content(_plain(body), cte="quoted-printable")
    mail.add_alternative(_html(body), subtype="html", cte="quoted-printable")
    return mail


def _address(text: str) -> Address:
    name, bare = parseaddr(text)
    user, _, domain = bare.rpartition("@")
    return Address(name, user, domain)


def _id(text: str, domain: str) -> str:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)[:80]
    return f"<{safe}.{hashlib.sha256(text.encode()).hexdigest()[:12]}@{domain}>"


def _subject(body: Mapping[str, Any]) -> str:
    """The same for all mails of an incident, as mail programs want it of a conversation; how it stands is the first
    line of the text, which they show beside it."""
    if body.get("custom") or words.is_notice(body) or body["event"] == "test":
        return _line(words.headline(body), MAX_SUBJECT)
    title = f"{words.system_title(body)}: {body['incident']['title']}"
    first = body["event"] == "firing"
    return _line(("" if first else "Re: ") + f"[healthd] {title}", MAX_SUBJECT)


def _line(text: str, limit: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _plain(body: Mapping[str, Any]) -> str:
    if text := words.custom_text(body):
        return to_plain(text) + "\n"
    return f"{words.headline(body)}\n\n{words.plain(body)}\n".replace("\r", "")


def _html(body: Mapping[str, Any]) -> str:
    if text := words.custom_text(body):
        inner = to_html(text)
    elif words.is_notice(body):
        inner = _notice(body)
    else:
        inner = _incident(body)
    links = " · ".join(f'<a href="{html.escape(url)}">{html.escape(text)}</a>' for text, url in words.links(body))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>'
        '<body style="font:15px/1.45 sans-serif;max-width:44em">\n'
        f"{inner}\n<p>{links}</p></body></html>\n"
    )


def _notice(body: Mapping[str, Any]) -> str:
    facts = [(field["name"], field["value"]) for field in body["notice"]["fields"]]
    return f"<h2>{html.escape(words.headline(body))}</h2>\n{to_html(body['notice']['text'])}\n{_table(facts)}"


def _incident(body: Mapping[str, Any]) -> str:
    incident = body["incident"]
    colour = _COLOURS["ok"] if incident["resolved_at"] else _COLOURS.get(incident["level"], "#7f8c8d")
    parts = [f'<h2 style="border-left:6px solid {colour};padding-left:.5em">{html.escape(words.headline(body))}</h2>']
    parts += [f"<p><b>{html.escape(news)}</b></p>"] if (news := words.news(body)) else []
    parts += [f"<p>{html.escape(reason)}</p>"] if (reason := words.reason(body)) else []
    if lines := words.checks(body):
        listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        parts.append(f"<p><b>{html.escape(words.together(body))}</b></p><ul>{listed}</ul>")
    if body["event"] in words.FULL or body["event"] == "updated":
        parts += _details(body)
    facts = [
        ("Severity", incident["severity"]),
        ("Check", body["check"]["id"]),
        ("Since", incident["opened_at"]),
        ("Lasted", words.lasted(incident)),
        ("Acknowledged by", incident["acknowledged_by"]),
        ("Incident", incident["id"]),
    ]
    return "\n".join([*parts, _table(facts)])


def _details(body: Mapping[str, Any]) -> list[str]:
    likely, command = words.cause(body)
    parts = [f"<p><b>Likely cause:</b> {html.escape(likely)}</p>"] if likely else []
    parts += [f"<p><b>Try first:</b></p><pre>{html.escape(command)}</pre>"] if command else []
    parts.append(_table([(words.measured(value), words.reading(value)) for value in body["values"][:20]]))
    for piece in [e for e in body["evidence"] if e["text"].strip()][:5]:
        parts.append(
            f"<p><b>{html.escape(piece['title'] or 'Evidence')}</b></p><pre>{html.escape(piece['text'])}</pre>"
        )
    if playbook := body["playbook"]:
        steps = "".join(
            f"<li>{html.escape(': '.join(p for p in (s['when'], s['title']) if p))}"
            + (f"<pre>{html.escape(s['command'])}</pre>" if s["command"].strip() else "")
            + "</li>"
            for s in [*playbook["diagnostics"], *playbook["remediation"]][:20]
        )
        title = html.escape(playbook["title"] or playbook["name"])
        parts.append(f"<p><b>Playbook: {title}</b> (suggested, not executed)</p><ol>{steps}</ol>")
    return parts


def _table(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th align="left">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in facts
        if value
    )
    return f'<table cellpadding="3">{rows}</table>' if rows else ""
