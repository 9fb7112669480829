"""Nothing of a whole conversation's secrets reaches a log."""

import logging
import re

import pytest
import structlog

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from tests.support.avatar_rig import CALLBACK_SECRET, SERVER_SECRET, Rig, make_tone

# Servers of the engine, which runs in this process too.
CLOUD_LOGGERS = ("uvicorn", "websockets.server")


async def test_neither_secrets_nor_signatures_nor_tokens_are_logged(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        avatar_id = await rig.on_air()
        speaker = rig.drive()
        await speaker.setup(avatar_id)
        await speaker.audio(make_tone(0.1))
        await speaker.finish()
        await speaker.until("drive_finished")
        viewer = await rig.stub.CreateViewerToken(
            pb.CreateViewerTokenRequest(user_id="ada"), timeout=5
        )

    ours = [each for each in caplog.records if not each.name.startswith(CLOUD_LOGGERS)]
    told = str(events) + "\n".join(each.getMessage() for each in ours)
    assert "DriveByWsStream" in told
    for secret in (SERVER_SECRET, CALLBACK_SECRET, viewer.token):
        assert secret not in told
    # A signed address, a drive's address, a drive's token.
    assert re.findall(r"Signature=|wss?://[^ ]*Token=|Token=ey", told) == []
