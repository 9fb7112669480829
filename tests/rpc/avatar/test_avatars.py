"""The unary calls of the avatar service against a real engine."""

import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import structlog
from google.protobuf.duration_pb2 import Duration
from joserfc import jwt
from joserfc.jwk import OctKey

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from engine.contract.parameters import TtsConfig
from engine.contract.token import Purpose, derive_key
from engine.sources.speaker import Timbre
from services.avatar.vendor.callback import sign_callback
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import (
    APP_ID,
    CALLBACK_SECRET,
    RATE,
    SERVER_SECRET,
    Rig,
    fail,
    make_tone,
    start_request,
)

PERSON = "parley_mia"
GONE = "no-such-avatar"


class Hummer:
    """A voice for the engine that says everything as a hum."""

    sample_rate = RATE

    async def timbres(self) -> Sequence[Timbre]:
        return (Timbre(timbre_id="hum", name="Hum"),)

    async def speak(self, text: str, config: TtsConfig) -> AsyncIterator[bytes]:
        yield make_tone(0.1)


async def test_an_avatar_lives_from_start_to_stop(rig: Rig) -> None:
    started = await rig.stub.StartAvatar(start_request(), timeout=10)
    avatar_id = started.avatar.avatar_id
    assert started.digital_human_id == PERSON
    await rig.relay.until(lambda body: body["Detail"].get("Status") == 3)

    got = (await rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=avatar_id), timeout=5)).avatar
    assert (got.avatar_id, got.room_id, got.stream_id) == (avatar_id, "room-1", "stream-1")
    assert got.state == pb.AVATAR_STATE_STREAMING
    assert got.HasField("create_time")
    listed = (await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5)).avatars
    assert [(each.avatar_id, each.state) for each in listed] == [(avatar_id, got.state)]

    stop = pb.StopAvatarRequest(avatar_id=avatar_id)
    assert not (await rig.stub.StopAvatar(stop, timeout=5)).replayed
    assert (await rig.stub.StopAvatar(stop, timeout=5)).replayed
    over = (await rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=avatar_id), timeout=5)).avatar
    assert over.state == pb.AVATAR_STATE_STOPPED
    assert not (await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5)).avatars


async def test_a_look_that_finds_nothing_wrong_is_not_told(rig: Rig) -> None:
    with structlog.testing.capture_logs() as told:
        await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5)
    assert {"rpc ended", "cloud called"} <= {each["event"] for each in told}
    assert {each["log_level"] for each in told} == {"debug"}
    with structlog.testing.capture_logs() as told:
        await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=GONE), timeout=5)
    assert "info" in {each["log_level"] for each in told if each["event"] == "rpc ended"}


async def test_stopping_an_unknown_avatar_is_a_success(rig: Rig) -> None:
    assert (await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=GONE), timeout=5)).replayed


async def test_a_named_person_is_shown(rig: Rig) -> None:
    request = start_request(digital_human_id=PERSON, background_color="#102030")
    assert (await rig.stub.StartAvatar(request, timeout=10)).digital_human_id == PERSON


async def test_a_stream_id_is_good_for_one_avatar(rig: Rig) -> None:
    await rig.start("stream-1")
    error = await fail(rig.stub.StartAvatar(start_request("stream-1"), timeout=10))
    assert error.reason is Reason.STREAM_IN_USE
    assert error.metadata["cloud_code"] == "400000015"
    assert error.metadata["cloud_request_id"]


async def test_no_more_avatars_run_than_the_account_allows(open_rig: Any) -> None:
    rig = await open_rig(engine={"max_tasks": 1})
    await rig.start("stream-1")
    error = await fail(rig.stub.StartAvatar(start_request("stream-2"), timeout=10))
    assert error.reason is Reason.AVATAR_CAPACITY_EXCEEDED


async def test_an_unknown_person_cannot_be_shown(rig: Rig) -> None:
    error = await fail(rig.stub.StartAvatar(start_request(digital_human_id="nobody"), timeout=10))
    assert error.reason is Reason.DIGITAL_HUMAN_NOT_FOUND


async def test_a_life_must_be_whole_seconds(rig: Rig) -> None:
    request = start_request()
    request.max_duration.FromMilliseconds(10_500)
    error = await fail(rig.stub.StartAvatar(request, timeout=10))
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["max_duration"]


async def test_the_configured_person_needs_no_look_up(open_rig: Any) -> None:
    rig = await open_rig(digital_human_id=PERSON)
    await rig.set_faults({"kind": "refuse", "code": 400010001, "action": "GetDigitalHumanList"})
    assert (await rig.stub.StartAvatar(start_request(), timeout=10)).digital_human_id == PERSON


async def test_the_default_digital_human_is_looked_up_once(rig: Rig) -> None:
    await rig.start("stream-1")
    await rig.set_faults({"kind": "refuse", "code": 400010001, "action": "GetDigitalHumanList"})
    await rig.start("stream-2")


async def test_a_failed_start_shows_in_the_state(rig: Rig) -> None:
    await rig.set_faults({"kind": "init_failure", "reason": "no model"})
    avatar_id = await rig.start()
    await rig.relay.until(lambda body: body["Detail"].get("Status") == 2)
    got = (await rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=avatar_id), timeout=5)).avatar
    assert got.state == pb.AVATAR_STATE_FAILED
    assert got.fail_reason == "no model"


async def test_persons_come_in_pages(rig: Rig) -> None:
    request = pb.ListDigitalHumansRequest(page_size=1)
    found = []
    while True:
        page = await rig.stub.ListDigitalHumans(request, timeout=5)
        found += [each.digital_human_id for each in page.digital_humans]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert PERSON in found
    assert len(set(found)) == len(found)


async def test_a_page_token_beyond_the_cloud_is_refused(rig: Rig) -> None:
    request = pb.ListDigitalHumansRequest(page_token="9999999")
    error = await fail(rig.stub.ListDigitalHumans(request, timeout=5))
    assert [each.field for each in error.violations] == ["page_token"]


async def test_timbres_are_listed_and_can_speak(open_rig: Any) -> None:
    rig = await open_rig(speaker=Hummer())
    timbres = (await rig.stub.ListTimbres(pb.ListTimbresRequest(), timeout=5)).timbres
    assert [(each.timbre_id, each.display_name) for each in timbres] == [("hum", "Hum")]
    avatar_id = await rig.on_air()
    request = pb.SpeakTextRequest(avatar_id=avatar_id, text="Hello.", timbre_id="hum")
    drive_id = (await rig.stub.SpeakText(request, timeout=5)).drive_id
    await rig.relay.until(
        lambda body: body["Detail"].get("DriveId") == drive_id and body["Detail"]["Status"] == 4
    )
    request.timbre_id = "no-such-timbre"
    assert (await fail(rig.stub.SpeakText(request, timeout=5))).reason is Reason.TIMBRE_NOT_FOUND


async def test_timbres_of_an_unknown_person_are_not_found(rig: Rig) -> None:
    request = pb.ListTimbresRequest(digital_human_id="nobody")
    error = await fail(rig.stub.ListTimbres(request, timeout=5))
    assert error.reason is Reason.DIGITAL_HUMAN_NOT_FOUND


async def test_a_file_is_queued_for_playing(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    request = pb.SpeakAudioUrlRequest(
        avatar_id=avatar_id, audio_url=f"{rig.engine.base_url}/no-such-file.wav"
    )
    assert (await rig.stub.SpeakAudioUrl(request, timeout=5)).drive_id


async def test_a_gesture_is_made_if_the_person_knows_it(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    persons = await rig.stub.ListDigitalHumans(pb.ListDigitalHumansRequest(), timeout=5)
    known = persons.digital_humans[0].actions[0]
    request = pb.PerformActionRequest(avatar_id=avatar_id, action=known)
    await rig.stub.PerformAction(request, timeout=5)

    request.action = "fly"
    error = await fail(rig.stub.PerformAction(request, timeout=5))

    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["action"]


async def test_an_unknown_avatar_is_not_found(rig: Rig) -> None:
    calls: list[Awaitable[Any]] = [
        rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=GONE), timeout=5),
        rig.stub.InterruptAvatar(pb.InterruptAvatarRequest(avatar_id=GONE), timeout=5),
        rig.stub.PerformAction(pb.PerformActionRequest(avatar_id=GONE, action="idle"), timeout=5),
        rig.stub.SpeakAudioUrl(
            pb.SpeakAudioUrlRequest(avatar_id=GONE, audio_url="https://example.com/a.wav"),
            timeout=5,
        ),
    ]
    assert [(await fail(call)).reason for call in calls] == [Reason.AVATAR_NOT_FOUND] * 4


def claims_of(token: str) -> dict[str, Any]:
    """What the engine would read."""
    claims: dict[str, Any] = jwt.decode(
        token, OctKey.import_key(derive_key(SERVER_SECRET.encode(), Purpose.VIEWER))
    ).claims
    return claims


async def test_a_viewers_token_is_bound_to_its_room(rig: Rig) -> None:
    request = pb.CreateViewerTokenRequest(user_id="ada", room_id="room-1", stream_id="stream-1")
    answer = await rig.stub.CreateViewerToken(request, timeout=5)

    claims = claims_of(answer.token)
    assert claims["exp"] - claims.pop("iat") == 600
    assert claims == {
        "aud": "viewer",
        "iss": str(APP_ID),
        "sub": "ada",
        "room": "room-1",
        "exp": answer.expire_time.seconds,
    }
    assert answer.app_id == APP_ID
    assert answer.playback.protocol == pb.PLAYBACK_PROTOCOL_WHEP
    assert answer.playback.url == f"{rig.engine.base_url}/whep/stream-1"


async def test_the_engine_has_no_stream_to_publish_to(rig: Rig) -> None:
    request = pb.CreateViewerTokenRequest(
        user_id="ada", room_id="room-1", publish_stream_id="mic", ttl=Duration(seconds=60)
    )
    answer = await rig.stub.CreateViewerToken(request, timeout=5)
    claims = claims_of(answer.token)
    assert claims["room"] == "room-1"
    assert claims["exp"] - claims["iat"] == 60
    assert answer.playback.url == ""


async def test_publishing_needs_a_room(rig: Rig) -> None:
    request = pb.CreateViewerTokenRequest(user_id="ada", publish_stream_id="mic")
    error = await fail(rig.stub.CreateViewerToken(request, timeout=5))
    assert [each.field for each in error.violations] == ["room_id"]


async def test_another_life_and_another_public_address_can_be_set(open_rig: Any) -> None:
    rig = await open_rig(cloud_public_url="https://watch.example/", token_expire_seconds=30)
    request = pb.CreateViewerTokenRequest(user_id="ada", stream_id="stream-1")
    answer = await rig.stub.CreateViewerToken(request, timeout=5)
    claims = claims_of(answer.token)
    assert "room" not in claims
    assert claims["exp"] - claims["iat"] == 30
    assert answer.playback.url == "https://watch.example/whep/stream-1"


async def test_a_callback_tells_the_avatars_state(rig: Rig) -> None:
    avatar_id = await rig.on_air()
    told = [each for each in rig.relay.told if each.avatar_id == avatar_id]
    assert [each.avatar_state for each in told] == [
        pb.AVATAR_STATE_STARTING,
        pb.AVATAR_STATE_STREAMING,
    ]


async def test_a_callback_may_be_repeated_but_not_reused(rig: Rig) -> None:
    await rig.on_air()
    body = json.loads(rig.relay.bodies[0])
    original = rig.relay.bodies[0]
    await rig.stub.HandleCallback(pb.HandleCallbackRequest(body=original), timeout=5)

    body["Detail"]["Status"] = 5
    forged = pb.HandleCallbackRequest(body=json.dumps(body).encode())
    error = await fail(rig.stub.HandleCallback(forged, timeout=5))

    assert error.reason is Reason.CALLBACK_INVALID
    assert error.metadata == {"refusal": "REPLAYED"}


async def test_what_is_no_callback_is_refused(rig: Rig) -> None:
    for body in (b"{", b"[]", b"null", b"\xff", b'{"AppId":1}'):
        error = await fail(rig.stub.HandleCallback(pb.HandleCallbackRequest(body=body), timeout=5))
        assert error.reason is Reason.CALLBACK_INVALID


async def test_without_a_secret_every_callback_is_refused(open_rig: Any) -> None:
    rig = await open_rig(relays=False, callback_secret=None)
    signature = sign_callback(secret=CALLBACK_SECRET, timestamp="1", nonce="n")
    body = json.dumps({"AppId": APP_ID, "Signature": signature}).encode()
    error = await fail(rig.stub.HandleCallback(pb.HandleCallbackRequest(body=body), timeout=5))
    assert error.reason is Reason.CALLBACK_INVALID


async def test_that_a_task_is_over_is_no_refusal(rig: Rig) -> None:
    ended = await rig.start()
    await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=ended), timeout=5)
    with structlog.testing.capture_logs() as told:
        for avatar_id in (ended, GONE):
            assert (
                await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=avatar_id), timeout=5)
            ).replayed
        await rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=ended), timeout=5)
        await fail(rig.stub.GetAvatar(pb.GetAvatarRequest(avatar_id=GONE), timeout=5))
    assert len([each for each in told if each["event"] == "cloud called"]) == 4
    assert {each["log_level"] for each in told} <= {"info", "debug"}
    with structlog.testing.capture_logs() as told:
        await fail(rig.stub.PerformAction(pb.PerformActionRequest(avatar_id=GONE, action="nod")))
    assert "cloud refused a call" in [each["event"] for each in told]
