"""The endpoints for operators: liveness, readiness, metrics."""

import prometheus_client
from fastapi import APIRouter, Response

from gateway.backend.services import Backend
from gateway.contract.models import Health
from gateway.contract.openapi import failures
from gateway.server.drain import Drain
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class ProbeRoutes:
    """Reports how the process and the services behind it are doing."""

    def __init__(self, *, backend: Backend, drain: Drain) -> None:
        self._backend = backend
        self._drain = drain

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(tags=["operations"])
        router.get("/livez", summary="Whether the process lives")(self.livez)
        router.get(
            "/readyz",
            summary="Whether requests can be served",
            responses=failures(Reason.DEPENDENCY_UNAVAILABLE, Reason.DRAINING),
        )(self.readyz)
        router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)(
            self.metrics
        )
        return router

    async def livez(self) -> Health:
        """Answer."""
        return Health()

    async def readyz(self) -> Health:
        """Answer when all services behind the gateway serve; else name those that do not.

        A gateway that goes down is not ready, although it still serves.
        """
        self._drain.check()
        missing = ", ".join(await self._backend.missing())
        if missing:
            raise ServiceError(
                Reason.DEPENDENCY_UNAVAILABLE, f"Not serving: {missing}", missing=missing
            )
        return Health()

    async def metrics(self) -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )
