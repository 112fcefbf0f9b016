"""Build the HTTP application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI, Header, Response
from fastapi.responses import HTMLResponse

from listener.config import Settings
from listener.metrics import Metrics
from listener.status import Status
from listener.web import documentation, errors, health
from listener.web.guard import Shield
from listener.web.identity import Identity, service


def create_app(
    settings: Settings,
    status: Status,
    metrics: Metrics,
    routers: Iterable[APIRouter] = (),
    open_routers: Iterable[APIRouter] = (),
    refresh: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """Build the ASGI application.

    Args:
        settings: decide who may call.
        status: read by the health routes.
        metrics: shown by `/metrics`.
        routers: further routes that need the rights of the service, like all except health.
        open_routers: further routes that check their callers, by `identity.caller` or by signed URLs.
        refresh: awaited in the event loop of the routes before metrics are shown, so that fleet metrics are fresh.
    """
    app = FastAPI(
        title="supalistener",
        version=version("supalistener"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    errors.install(app)
    app.state.identity = Identity(settings)
    app.add_middleware(Shield, settings=settings)
    for router in (health.routes(status), *open_routers):
        app.include_router(router)
    guarded = [Depends(service)]
    for router in (_metrics(metrics, refresh), _documentation(app), *routers):
        app.include_router(router, dependencies=guarded, responses={401: {"model": errors.Problem}})
    return app


def _metrics(metrics: Metrics, refresh: Callable[[], Awaitable[None]] | None) -> APIRouter:
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def show(accept: str = Header("")) -> Response:
        """Return all metrics, for Prometheus."""
        if refresh is not None:
            await refresh()
        text, content_type = metrics.expose(accept)
        return Response(text, headers={"Content-Type": content_type})

    return router


def _documentation(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def schema() -> dict[str, object]:
        return app.openapi()

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(documentation.page(app.openapi()))

    return router
