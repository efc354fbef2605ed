"""The routes: metrics, health, API and pages."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from healthd.web.daemon import Daemon

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def create_app(daemon: Daemon) -> FastAPI:
    """The ASGI application of one daemon."""
    app = FastAPI(title="healthd", docs_url="/api/docs", openapi_url="/api/openapi.json", redoc_url=None)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await daemon.exposition(), media_type=EXPOSITION)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reasons = daemon.unready()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return app
