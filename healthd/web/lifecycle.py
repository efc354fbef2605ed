"""What machines ask of healthd itself: metrics, whether it lives and works, and to read its catalogue again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from healthd.web.body import json_object
from healthd.web.desk import Desk, desk_of
from healthd.web.errors import PROBLEM, as_json
from healthd.web.problem import RequestError

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(await desk_of(request).daemon.exposition(), media_type=EXPOSITION)


async def healthz(request: Request) -> Response:
    """200 as long as the event loop turns."""
    return PlainTextResponse("alive\n")


async def readyz(request: Request) -> Response:
    """200 when checks can run and be recorded, 503 with the reasons when not."""
    reasons = desk_of(request).daemon.unready()
    return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)


async def reload(request: Request) -> Response:
    """Read the catalogue again: 200 with what changed, 422 with everything that is wrong in it."""
    desk = desk_of(request)
    desk.gate.require_token(request, desk.now())
    actor = desk.gate.actor(request, (await json_object(request)).get("actor"), "api")
    return await read_again(desk, actor)


async def read_again(desk: Desk, actor: str) -> Response:
    """Read the catalogue again: 200 with what changed, 422 with everything that is wrong in it."""
    result = await desk.change(desk.daemon.reload(actor), patience=120)
    if result.errors:
        count = f"{len(result.errors)} problem{'s' if len(result.errors) > 1 else ''}"
        problem = f"the catalogue has {count}; the one before stays in force"
        said = {**as_json(RequestError(422, problem)), "problems": list(result.errors)}
        return JSONResponse(said, 422, media_type=PROBLEM)
    return JSONResponse({"added": result.added, "changed": result.changed, "removed": result.removed})


ROUTES = [
    Route("/metrics", metrics),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/-/reload", reload, methods=["POST", "PUT"]),
]
