"""The endpoints of a tenant's operators: its API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from digitalhuman.access.v1 import access_pb2 as pb
from gateway.backend.services import Backend
from gateway.contract.bodies import KeyBody
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.models import KeyAnswer, KeyList, NewKeyAnswer
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.wire import from_api_key, from_new_key, from_revoked_key, to_duration
from services.runtime.failures.reasons import Reason

DAY_S = 86_400


class KeyRoutes:
    """Makes, lists and revokes the keys of the caller's tenant."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human", tags=["access"], dependencies=[Depends(requires_single)]
        )
        router.post(
            "/keys",
            summary="Make an API key",
            response_model_exclude_none=True,
            dependencies=[Depends(requires_json)],
            responses=failures(
                Reason.INVALID_REQUEST, Reason.MALFORMED_MESSAGE, Reason.MEDIA_TYPE_UNSUPPORTED
            ),
        )(self.create_key)
        router.get(
            "/keys",
            summary="List API keys",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST),
        )(self.list_keys)
        router.delete(
            "/keys/{keyId}",
            summary="Revoke an API key",
            response_model_exclude_none=True,
            responses=failures(Reason.INVALID_REQUEST, Reason.API_KEY_NOT_FOUND),
        )(self.revoke_key)
        return router

    async def create_key(self, body: KeyBody) -> NewKeyAnswer:
        """Make a key, and show its secret this once."""
        days = body.expires_in_days
        made = await self._backend.ask(
            self._backend.access.CreateApiKey,
            pb.CreateApiKeyRequest(
                name=body.name,
                role=pb.Role.Value(f"ROLE_{body.role}"),
                user_id=body.user_id,
                lifetime=to_duration(None if days is None else days * DAY_S),
            ),
        )
        return from_new_key(made)

    async def list_keys(
        self,
        page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 100,
        page_token: Annotated[
            str,
            Query(
                alias="pageToken",
                json_schema_extra=constraints(pb.ListApiKeysRequest, "page_token"),
            ),
        ] = "",
    ) -> KeyList:
        """Return keys, newest first, those that are revoked or have expired included."""
        page = await self._backend.ask(
            self._backend.access.ListApiKeys,
            pb.ListApiKeysRequest(page_size=page_size, page_token=page_token),
        )
        return KeyList(
            keys=[from_api_key(key) for key in page.keys],
            next_page_token=page.next_page_token or None,
        )

    async def revoke_key(
        self,
        key_id: Annotated[
            str,
            Path(alias="keyId", json_schema_extra=constraints(pb.RevokeApiKeyRequest, "key_id")),
        ],
    ) -> KeyAnswer:
        """Revoke a key; repeating it is a success. Within seconds, no gateway lets it in."""
        revoked = await self._backend.ask(
            self._backend.access.RevokeApiKey, pb.RevokeApiKeyRequest(key_id=key_id)
        )
        return from_revoked_key(revoked.key)
