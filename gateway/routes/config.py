"""The endpoint that describes the deployment to a client before a call."""

from dataclasses import dataclass

from fastapi import APIRouter

from gateway.backend.catalogue import Catalogue
from gateway.contract.models import ConfigAnswer
from gateway.contract.openapi import failures
from gateway.contract.wire import from_digital_human, from_persona


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a client has to know of the gateway itself."""

    version: str
    needs_key: bool
    max_upload_bytes: int
    max_audio_s: float


class ConfigRoutes:
    """Lists the choices of a deployment."""

    def __init__(self, *, catalogue: Catalogue, deployment: Deployment) -> None:
        self._catalogue = catalogue
        self._deployment = deployment

    def router(self) -> APIRouter:
        """Return the endpoint."""
        router = APIRouter(prefix="/api", tags=["viewers"])
        router.get(
            "/config",
            summary="List personas, digital humans and languages to choose from",
            response_model_exclude_none=True,
            responses=failures(),
        )(self.get_config)
        return router

    async def get_config(self) -> ConfigAnswer:
        """Return the personas, the digital humans, the languages and the limits."""
        personas = await self._catalogue.personas()
        digital_humans = await self._catalogue.digital_humans()
        return ConfigAnswer(
            version=self._deployment.version,
            needs_key=self._deployment.needs_key,
            default_persona_id=personas.default_id or None,
            personas=[from_persona(each) for each in personas.all],
            digital_humans=[from_digital_human(each) for each in digital_humans.all],
            languages=sorted({code for each in personas.all for code in each.language_codes}),
            max_upload_bytes=self._deployment.max_upload_bytes,
            max_audio_seconds=self._deployment.max_audio_s,
        )
