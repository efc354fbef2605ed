"""Which SQL a check may ask: one SELECT, and none of the functions that act outside their transaction.

This is the second fence. The first is the server's: a read-only transaction, a cursor that takes nothing but a
SELECT, and (recommended) a role that may do nothing else. A read-only transaction does not stop functions which
end sessions, rotate logs, take session locks, move replication slots or run text as SQL elsewhere: those are
refused here by name. Functions that an installation wrote itself cannot be judged by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["check_statement", "lexed"]

_STARTS = {"select", "with", "values", "table"}
_HINTS = {
    "show": "write SELECT current_setting('name') instead of SHOW name",
    "explain": "EXPLAIN may run what it explains",
    "call": "procedures may write",
}
_ACTING = re.compile(
    "|".join(
        (
            # sessions, settings, server control
            r"pg_(cancel|terminate)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_promote|set_config|pg_log_\w+",
            # write-ahead log, backups, replication
            r"pg_switch_(wal|xlog)|pg_(wal|xlog)_replay_(pause|resume)|pg_create_\w+|pg_drop_replication_slot",
            r"pg_backup_(start|stop)|pg_(start|stop)_backup|pg_copy_\w+_slot|pg_sync_replication_slots",
            r"pg_replication_slot_advance|pg_logical_slot_\w+|pg_logical_emit_message|pg_export_snapshot",
            r"pg_replication_origin_(advance|create|drop|session_reset|session_setup|xact_\w+)",
            # locks that outlive the transaction or hold up others, notifications
            r"pg_(try_)?advisory_\w+|pg_notify",
            # statistics, caches, maintenance
            r"pg_\w*_reset|pg_\w*_reset_\w+|pg_clear_\w+_stats|pg_restore_\w+_stats|pg_prewarm|autoprewarm_\w+",
            r"pg_buffercache_(evict|mark)\w*|brin_(de)?summarize_\w+|gin_clean_pending_list|pg_truncate_\w+|heap_force_\w+",
            r"pg_import_system_collations|pg_nextoid|pg_stop_making_pinned_objects|binary_upgrade_\w+",
            # sequences, large objects, files
            r"nextval|setval|lo_(creat|create|export|import|from_bytea|put|truncate|truncate64|unlink)|lowrite|pg_file_\w+",
            # text run as SQL, here or elsewhere; requests to other hosts
            r"query_to_xml\w*|cursor_to_xml\w*|ts_stat|ts_rewrite|dblink\w*|crosstab\w*|connectby|xpath_table",
            r"pg_background_\w+|query_export_to_s3|table_import_from_s3|http_(get|post|put|patch|delete|head)",
        )
    )
)
_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n\r]*|/\*)
    | (?P<escape>[uU]&["'])
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<estring>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>[\d.][\w.]*)
    | (?P<other>\S)
    """,
    re.VERBOSE | re.DOTALL,
)


def check_statement(sql: str) -> str:
    """The statement without its final semicolon. Raises ValueError saying what is not allowed and what is."""
    tokens = list(lexed(sql))
    if any(pair == ("estring", "string") for pair in pairwise(kind for kind, _, _ in tokens)):
        raise ValueError("an E'...' string continued in another is not read by healthd: write it in one piece")
    while tokens and tokens[-1][:2] == ("other", ";"):
        sql = sql[: tokens.pop()[2]]
    if any(text == ";" for kind, text, _ in tokens if kind == "other"):
        raise ValueError("more than one statement: a check asks a single SELECT")
    first = next((text.lower() for kind, text, _ in tokens if text != "("), "")
    if first not in _STARTS:
        hint = _HINTS.get(first, "healthd only reads")
        raise ValueError(f"{first.upper() or 'nothing'} is not a query (SELECT, WITH, VALUES or TABLE): {hint}")
    for name in (text.lower().strip('"') for kind, text, _ in tokens if kind in ("word", "quoted")):
        if _ACTING.fullmatch(name):
            raise ValueError(f"{name} changes something even in a read-only transaction: healthd only reads")
    return sql.strip()


def lexed(sql: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, position) of everything but comments."""
    position = 0
    while match := _TOKEN.search(sql, position):
        kind, text, position = str(match.lastgroup), match[0], match.end()
        if kind == "escape":
            raise ValueError("U&\"...\" and U&'...' are not read by healthd: write the characters themselves")
        if text == "/*":
            position = _end_of_comment(sql, position)
        elif kind == "dollar":
            position = _end_of_dollar_string(sql, text, position)
        elif text in ("'", '"'):
            raise ValueError("a quote is not closed")
        elif kind != "comment":
            yield kind, text, match.start()


def _end_of_comment(sql: str, position: int) -> int:
    depth = 1  # comments nest in PostgreSQL
    for match in re.finditer(r"/\*|\*/", sql[position:]):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return position + match.end()
    raise ValueError("a comment is not closed")


def _end_of_dollar_string(sql: str, tag: str, position: int) -> int:
    end = sql.find(tag, position)
    if end < 0:
        raise ValueError(f"the string {tag} is not closed")
    return end + len(tag)
