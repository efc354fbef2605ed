"""Who changed what, and who signed in."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.web.desk import desk_of
from healthd.web.views import page

PAGE = 100
MAX_WORD = 300
SIGN_INS = ("sign in", "sign in refused", "sign out")
MAX_SEQ = 15  # digits of a line's number


async def audit(request: Request) -> Response:
    """`/audit`: the newest first; `?actor=`, `?action=`, `?q=` anywhere in a line, `?before=` a line's number."""
    desk = desk_of(request)
    query = request.query_params
    wanted = {name: query.get(name, "").strip()[:MAX_WORD] for name in ("actor", "action", "q")}
    before = query.get("before", "")
    found = await desk.ask(
        desk.daemon.store.audits(
            limit=PAGE + 1, before=int(before) if before.isdecimal() and len(before) <= MAX_SEQ else 0,
            actor=wanted["actor"], action=wanted["action"], text=wanted["q"],
        )
    )  # fmt: skip

    def address(**changed: object) -> str:
        """This page with some of its filters changed; an empty one is left out."""
        asked = {name: value for name, value in {**wanted, **changed}.items() if value}
        return f"/audit?{urlencode(asked)}" if asked else "/audit"

    return await page(
        request, "audit.html", entries=found[:PAGE], has_more=len(found) > PAGE, wanted=wanted, address=address,
        sign_ins=SIGN_INS, paged=bool(before),
    )  # fmt: skip


ROUTES = [Route("/audit", audit)]
