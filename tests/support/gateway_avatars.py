"""The avatar service behind a gateway under test."""

import json
from datetime import UTC, datetime, timedelta

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceServicer
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_script import Context, Script


class ScriptedAvatars(AvatarServiceServicer):
    """Makes tokens and takes callbacks; where to watch is up to the test."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.playback = avatar_pb2.Playback(
            protocol=avatar_pb2.PLAYBACK_PROTOCOL_WHEP, url="http://127.0.0.1:9/whep/s"
        )
        self.people = [
            avatar_pb2.DigitalHuman(
                digital_human_id="parley_mia", display_name="Mia", actions=["nod"]
            )
        ]
        self.has_more = False
        """Whether the list of people never ends."""
        self.actions: list[avatar_pb2.PerformActionRequest] = []
        self.tokens: list[avatar_pb2.CreateViewerTokenRequest] = []
        self.token_life = timedelta(minutes=10)

    async def CreateViewerToken(
        self, request: avatar_pb2.CreateViewerTokenRequest, context: Context
    ) -> avatar_pb2.CreateViewerTokenResponse:
        self.script.check("CreateViewerToken")
        self.tokens.append(request)
        created = avatar_pb2.CreateViewerTokenResponse(
            token="04token", app_id=1234567890, playback=self.playback
        )
        created.expire_time.FromDatetime(datetime.now(UTC) + self.token_life)
        return created

    async def PerformAction(
        self, request: avatar_pb2.PerformActionRequest, context: Context
    ) -> avatar_pb2.PerformActionResponse:
        self.script.check("PerformAction")
        self.actions.append(request)
        return avatar_pb2.PerformActionResponse()

    async def ListDigitalHumans(
        self, request: avatar_pb2.ListDigitalHumansRequest, context: Context
    ) -> avatar_pb2.ListDigitalHumansResponse:
        self.script.check("ListDigitalHumans")
        return avatar_pb2.ListDigitalHumansResponse(
            digital_humans=self.people, next_page_token="1" if self.has_more else ""
        )

    async def HandleCallback(
        self, request: avatar_pb2.HandleCallbackRequest, context: Context
    ) -> avatar_pb2.HandleCallbackResponse:
        self.script.check("HandleCallback")
        told = json.loads(request.body)
        if told.get("Signature") != "good":
            raise ServiceError(Reason.CALLBACK_INVALID, "The signature does not fit.")
        return avatar_pb2.HandleCallbackResponse(
            avatar_id=told["TaskId"],
            avatar_state=told.get("Status", 0),
            drive_id=told.get("DriveId", ""),
        )
