"""What the cloud's tokens grant; the engine's are checked by the engine itself."""

import json

from services.avatar.vendor.signature import Credentials
from services.avatar.vendor.token import Mode, open_token
from services.avatar.viewers import CloudTokens, Entry

CREDENTIALS = Credentials(app_id=42, server_secret="0123456789abcdef0123456789abcdef")


def test_a_publishers_token_names_its_stream() -> None:
    entry = Entry(
        user_id="ada", room_id="room-1", publish_stream_id="mic", now=1_700_000_000, effective_s=60
    )
    token = CloudTokens(mode=Mode.GCM).seal(entry, CREDENTIALS)
    mode, claims = open_token(token, secret=CREDENTIALS.server_secret)
    assert mode is Mode.GCM
    assert json.loads(claims.payload) == {
        "room_id": "room-1",
        "privilege": {"1": 1, "2": 1},
        "stream_id_list": ["mic"],
    }
    assert claims.expire - claims.ctime == 60


def test_without_a_room_any_is_granted() -> None:
    entry = Entry(user_id="ada", room_id="", publish_stream_id="", now=1, effective_s=60)
    token = CloudTokens(mode=Mode.CBC).seal(entry, CREDENTIALS)
    mode, claims = open_token(token, secret=CREDENTIALS.server_secret)
    assert mode is Mode.CBC
    assert claims.payload == ""
