"""The endpoints for operators: liveness, readiness, metrics."""

import asyncio

import prometheus_client
from fastapi import APIRouter, Response

from gateway.backend.services import Backend
from gateway.contract.models import Health
from gateway.contract.openapi import failures
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason


def probe_routes(*, backend: Backend) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(tags=["operations"])

    @router.get("/livez", summary="Whether the process lives")
    async def livez() -> Health:
        """Answer."""
        return Health()

    @router.get(
        "/readyz",
        summary="Whether requests can be served",
        responses=failures(Reason.DEPENDENCY_UNAVAILABLE),
    )
    async def readyz() -> Health:
        """Answer when all services behind the gateway serve; else name those that do not."""
        services = list(backend.health)
        answers = await asyncio.gather(*(backend.is_serving(each) for each in services))
        missing = ", ".join(
            each for each, is_serving in zip(services, answers, strict=True) if not is_serving
        )
        if missing:
            raise ServiceError(
                Reason.DEPENDENCY_UNAVAILABLE, f"Not serving: {missing}", missing=missing
            )
        return Health()

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    return router
