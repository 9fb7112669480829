"""The WebSocket of a conversation, before a real speech service on scripted providers."""

import asyncio
import io
import random
import uuid
from typing import Any

import av
import httpx
import numpy as np
import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.task.v1 import task_pb2
from services.runtime.wire import to_timestamp
from tests.support.fake_tasks import TASK_ID
from tests.support.loudness import silent, voiced
from tests.support.proxy import proxying
from tests.support.scripted_providers import ScriptedRecognizer
from tests.support.sockets import (
    ABNORMAL_CLOSURE,
    calling,
    gateway_before,
    ignoring,
    until_none,
)
from tests.support.speech_rig import Script, SpeechRig, speech_rig

NORMAL_CLOSURE = 1000
IN_TURNS = {"turn_started", "reply_updated", "sentence_started", "playback_started"}
REPLY = "This is the answer to it. And this is the second sentence."


async def test_an_open_microphone_is_heard_and_answered() -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.speak(silent(0.5) + voiced(1) + silent(1.3))
        started = await caller.until("turn_started")
        assert started["transcript"] == "hello there"
        finished = await caller.until("turn_finished")
        assert finished["heard"] == REPLY
        assert caller.ready["taskId"] == TASK_ID
        assert [each["sequence"] for each in caller.events] == [*range(1, len(caller.events) + 1)]
        assert {each["event"] for each in caller.events} >= {"speech_started", "speech_ended"}


async def test_a_held_button_is_heard_when_it_is_let_go() -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, turnDetection="MANUAL") as caller,
    ):
        await caller.speak(voiced(1) + silent(2))
        await caller.speak(voiced(1))
        await caller.send(type="commit")
        await caller.until("turn_finished")
        utterance = rig.recognizer.heard[-1]
        assert len(utterance) / 32_000 == pytest.approx(4, abs=0.4)


async def test_text_words_to_say_and_interruptions_go_over_the_socket() -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(type="say", text="Welcome.", priority="HIGH")
        assert (await caller.until("turn_finished"))["reply"] == "Welcome."
        rig.avatars.plays_s = 0.6
        await caller.send(type="text", text="Why?")
        await caller.until("playback_started")
        await caller.connection.send(b"")
        await caller.send(type="interrupt")
        finished = await caller.until("turn_finished")
        assert finished["interrupted"]
        assert REPLY.startswith(finished["heard"])


async def test_a_goodbye_closes_the_line_and_ends_the_task_if_nobody_returns() -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(type="leave", lingerSeconds=0)
        assert await caller.closed() == NORMAL_CLOSURE
        stopped = await rig.tasks.stops.get()
        assert stopped.reason == task_pb2.STOP_REASON_CLIENT_GONE


@pytest.mark.parametrize("linger", [-1, 3601, "15", None])
async def test_a_goodbye_says_how_long_the_task_lingers(linger: object) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url) as caller:
        await caller.send(type="leave", lingerSeconds=linger)
        assert await caller.closed() == 4400
        assert caller.problem is not None
        assert [each["field"] for each in caller.problem["violations"]] == ["lingerSeconds"]


async def test_webm_is_decoded_while_it_comes() -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, turnDetection="MANUAL", audio="webm") as caller,
    ):
        recording = webm_opus(seconds=1.5)
        for at in range(0, len(recording), 1_000):
            await caller.connection.send(recording[at : at + 1_000])
        await caller.send(type="commit")
        await caller.until("turn_finished")
        utterance = rig.recognizer.heard[-1]
        assert len(utterance) / 32_000 == pytest.approx(1.5, abs=0.4)


@pytest.mark.parametrize("audio", ["pcm", "webm"])
@pytest.mark.parametrize("piece_s", [0.02, 0.25])
async def test_a_question_whose_audio_stops_is_answered(audio: str, piece_s: float) -> None:
    """The client is muted, or its recorder pauses, in the middle of the last word."""
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, turnDetection="SERVER", audio=audio) as caller,
    ):
        recording = voiced(1.3) if audio == "pcm" else webm_opus(seconds=1.3)
        size = int(len(recording) * piece_s / 1.3) // 2 * 2
        for at in range(0, len(recording), size):
            await caller.connection.send(recording[at : at + size])
            await asyncio.sleep(piece_s)
        await caller.until("speech_started")
        assert (await caller.until("turn_started"))["transcript"]
        await caller.until("turn_finished")


@pytest.mark.parametrize("size", [1, 7, 1_000, 65_536])
async def test_webm_may_be_cut_anywhere_and_begin_anew(size: int) -> None:
    """Chromium's first message is one byte, and a recorder that starts again has a header again."""
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, turnDetection="MANUAL", audio="webm") as caller,
    ):
        recordings = webm_opus(seconds=0.5) + webm_opus(seconds=1.0)
        for at in range(0, len(recordings), size):
            await caller.connection.send(recordings[at : at + size])
        await caller.send(type="commit")
        await caller.until("turn_finished")
        utterance = rig.recognizer.heard[-1]
        assert len(utterance) / 32_000 == pytest.approx(1.5, abs=0.4)


@pytest.mark.parametrize(
    ("query", "code", "reason", "field"),
    [
        ({"taskId": None}, 4400, "INVALID_REQUEST", "taskId"),
        ({"taskId": "task_nobody"}, 4404, "TASK_NOT_FOUND", None),
        ({"turnDetection": "MAYBE"}, 4400, "INVALID_REQUEST", "turnDetection"),
        ({"audio": "mp3"}, 4400, "INVALID_REQUEST", "audio"),
        ({"after": "-1"}, 4400, "INVALID_REQUEST", "after"),
        ({"after": "soon"}, 4400, "INVALID_REQUEST", "after"),
        ({"after": "99"}, 4400, "SEQUENCE_OUT_OF_RANGE", None),
        ({"lang": "xx"}, 4400, "LANGUAGE_UNSUPPORTED", None),
    ],
)
async def test_a_socket_is_refused(
    query: dict[str, Any], code: int, reason: str, field: str | None
) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url, calling(url, **query) as caller:
        assert await caller.closed() == code
        assert caller.problem is not None
        assert caller.problem["reason"] == reason
        if field is not None:
            assert [each["field"] for each in caller.problem["violations"]] == [field]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "MALFORMED_MESSAGE"),
        ("[]", "INVALID_REQUEST"),
        ('{"type": "dance"}', "INVALID_REQUEST"),
        ('{"type": "text"}', "INVALID_REQUEST"),
        ('{"type": "text", "text": "  "}', "INVALID_REQUEST"),
        ('{"type": "text", "text": 7}', "INVALID_REQUEST"),
        ('{"type": "say", "text": "hi", "priority": "URGENT"}', "INVALID_REQUEST"),
        ('{"type": "text", "text": "hi", "requestId": "1"}', "INVALID_REQUEST"),
        ('{"type": "commit"}', "INVALID_REQUEST"),
        (b"odd", "AUDIO_INVALID"),
        (bytes(70_000), "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_a_bad_message_ends_the_socket_and_nothing_else(
    message: str | bytes, reason: str
) -> None:
    async with speech_rig() as rig, gateway_before(rig) as url:
        async with calling(url) as caller:
            await caller.connection.send(message)
            code = await caller.closed()
            assert caller.problem is not None
            assert caller.problem["reason"] == reason
            assert code == 4000 + caller.problem["status"]
        async with calling(url) as caller:
            await caller.send(type="text", text="Why?")
            await caller.until("turn_finished")


@pytest.mark.parametrize("chunk", [b"not webm", b"\x1a\x45\xdf\xa3" + bytes(300_000)])
async def test_broken_webm_is_told(chunk: bytes) -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, audio="webm") as caller,
    ):
        for at in range(0, len(chunk), 60_000):
            await caller.connection.send(chunk[at : at + 60_000])
        assert await caller.closed() == 4400
        assert caller.problem is not None
        assert caller.problem["reason"] == "AUDIO_INVALID"


async def test_keys_are_asked_for() -> None:
    async with speech_rig() as rig, gateway_before(rig, keys=("secret",)) as url:
        for query, headers, code in (
            ({}, {}, 4401),
            ({"apiKey": "wrong"}, {}, 4401),
            ({"apiKey": "secret"}, {}, None),
            ({}, {"X-Api-Key": "secret"}, None),
        ):
            async with calling(url, headers=headers, **query) as caller:
                if code is not None:
                    assert await caller.closed() == code
                else:
                    await caller.until("ready")


async def test_other_sites_pages_may_not_listen() -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        calling(url, headers={"Origin": "https://evil.example"}) as caller,
    ):
        assert await caller.closed() == 4403


async def test_sockets_are_told_that_the_gateway_goes_down() -> None:
    async with speech_rig() as rig:
        async with gateway_before(rig) as url:
            connection = calling(url)
            caller = await connection.__aenter__()
            await caller.until("ready")
        assert await caller.closed() == 1001
        await connection.__aexit__(None, None, None)


async def test_whoever_drops_and_returns_misses_nothing() -> None:
    """The socket is cut at random moments of a conversation; the turns go on without it."""
    randomness = random.Random(7)
    script = Script(recognizer=ScriptedRecognizer(hears=lambda pcm: "Why is that?"))
    seen: list[dict[str, Any]] = []
    cuts_in_turns = 0
    async with speech_rig(script) as rig, gateway_before(rig) as url:
        while cuts_in_turns < 10:
            async with calling(url, after=len(seen)) as caller:
                await caller.until("ready")
                await caller.speak(voiced(0.6) + silent(1.3))
                for _ in range(randomness.randrange(12)):
                    await caller.read()
                caller.connection.transport.abort()
                seen += caller.events
                assert [each["sequence"] for each in seen] == [*range(1, len(seen) + 1)]
                cuts_in_turns += bool(seen) and seen[-1]["event"] in IN_TURNS
        async with calling(url, after=len(seen)) as caller:
            await caller.send(type="text", text="That is all.")
            while (await caller.until("turn_started"))["transcript"] != "That is all.":
                pass
            await caller.until("turn_finished")
            seen += caller.events
        started = sum(each["event"] == "turn_started" for each in seen)
        await rig.tasks.recorded("turn_finished", count=started)
        record = rig.tasks.records[TASK_ID]
        assert [each["sequence"] for each in seen] == [*range(1, len(seen) + 1)]
        assert [each["event"] for each in seen] == [
            each.WhichOneof("event") for each in record[: len(seen)]
        ]


async def test_a_client_that_reads_nothing_is_cut_off_and_may_return() -> None:
    async with speech_rig() as rig, gateway_before(rig, send_timeout_s=1.0) as url:
        rig.tasks.records[TASK_ID] = past(turns=100)
        async with ignoring(url, after=0) as caller:
            await caller.until("ready")
            await caller.send(type="text", text="Why?")
            # The line is closed and the call to speech has ended; the turn went on without them.
            await rig.tasks.recorded("turn_finished", count=101)
            await until_none("parley_http_sockets")
            await until_none("parley_conversations")
            assert await caller.closed() == ABNORMAL_CLOSURE
        record = rig.tasks.records[TASK_ID]
        assert len(caller.events) < len(record) - 1
        async with calling(url, after=len(caller.events)) as returned:
            while (await returned.until("turn_finished"))["reply"] != REPLY:
                pass
        seen = [each["sequence"] for each in caller.events + returned.events]
        assert seen == [each.sequence for each in record]


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    async with speech_rig() as rig, gateway_before(rig, send_timeout_s=3.0) as url:
        rig.tasks.records[TASK_ID] = past(turns=100)
        async with ignoring(url, after=0) as caller:
            for _ in range(100):
                await caller.until("turn_finished")
            # Longer than anything may wait: nothing does any more.
            await asyncio.sleep(3.1)
            await caller.send(type="text", text="Why?")
            await caller.until("turn_finished")


async def test_a_way_to_speech_that_breaks_is_found_again_unnoticed() -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        speech = proxy.url.removeprefix("http://")
        async with gateway_before(rig, speech=speech) as url, calling(url) as caller:
            for cut_at in ("turn_started", "playback_started"):
                rig.chat.gate = asyncio.Event()
                await caller.send(type="text", text="Why?")
                await caller.until(cut_at)
                proxy.cut()
                proxy.mend()
                # The reply ends after the cut, so that its end comes by another stream.
                rig.chat.gate.set()
                finished = await caller.until("turn_finished")
                assert finished["heard"] == REPLY
            sequences = [each["sequence"] for each in caller.events]
            assert sequences == [*range(1, len(sequences) + 1)]


async def test_a_way_to_speech_that_swallows_everything_is_left() -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        speech = proxy.url.removeprefix("http://")
        async with gateway_before(rig, speech=speech) as url, calling(url) as caller:
            await caller.until("ready")
            proxy.up.hold()
            proxy.down.hold()
            await caller.send(type="text", text="Are you there?")
            await caller.until("conversation_suspended")
            proxy.cut()
            proxy.mend()
            await caller.until("conversation_resumed")
            assert (await caller.until("turn_finished"))["heard"] == REPLY
    assert turns_of(rig) == 1


async def test_a_line_that_opens_while_speech_is_away_waits_for_it() -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        speech = proxy.url.removeprefix("http://")
        proxy.cut()
        async with gateway_before(rig, speech=speech) as url, calling(url) as caller:
            await caller.send(type="text", text="Hello?")
            await asyncio.sleep(0.5)
            proxy.mend()
            await caller.until("ready")
            await caller.until("turn_finished")


async def test_a_client_whose_network_is_gone_is_let_go() -> None:
    async with (
        speech_rig() as rig,
        gateway_before(rig) as url,
        proxying(f"http{url.removeprefix('ws')}") as proxy,
        calling(f"ws{proxy.url.removeprefix('http')}") as caller,
    ):
        await caller.until("ready")
        proxy.up.hold()
        proxy.down.hold()
        await until_none("parley_http_sockets")
        await until_none("parley_conversations")
        caller.connection.transport.abort()


@pytest.mark.parametrize("message", ["text", "say"])
async def test_what_is_lost_with_its_stream_is_sent_again(message: str) -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        speech = proxy.url.removeprefix("http://")
        async with gateway_before(rig, speech=speech) as url, calling(url) as caller:
            await caller.until("ready")
            proxy.up.hold()
            await caller.send(type=message, text="Tell me of lost words.")
            await proxy.up.holds(b"lost words")
            proxy.cut()
            proxy.mend()
            await caller.until("turn_finished")
            # It is not kept for another break.
            proxy.cut()
            proxy.mend()
            await caller.send(type="text", text="That is all.")
            await caller.until("turn_finished")
        assert turns_of(rig) == 2


async def test_what_was_taken_is_not_taken_again_with_the_next_stream() -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        speech = proxy.url.removeprefix("http://")
        async with gateway_before(rig, speech=speech) as url, calling(url) as caller:
            await caller.until("ready")
            rig.avatars.plays_s = 0.2
            await caller.send(type="text", text="Why?")
            await caller.until("playback_started")
            proxy.down.hold()
            # The words wait, and the question cuts the reply off; neither is reported.
            await caller.send(type="say", text="By the way.")
            await caller.send(type="text", text="And why so?")
            await rig.tasks.recorded("turn_started", count=2)
            proxy.cut()
            proxy.mend()
            assert (await caller.until("turn_started"))["transcript"] == "And why so?"
            rig.avatars.plays_s = None
            await caller.send(type="text", text="That is all.")
            while (await caller.until("turn_started"))["origin"] != "SAY":
                pass
            sequences = [each["sequence"] for each in caller.events]
            assert sequences == [*range(1, len(sequences) + 1)]
        await until_none("parley_conversations")
        assert turns_of(rig) == 4


async def test_a_client_may_send_again_what_it_does_not_know_to_be_taken() -> None:
    questions = [str(uuid.uuid4()) for _ in range(3)]
    async with speech_rig() as rig, gateway_before(rig) as url:
        started = events_pb.TurnStarted(user_text="Where?", request_id=questions[0])
        rig.tasks.records[TASK_ID] = past(turns=1, started=started)
        async with calling(url) as caller:
            await caller.send(type="text", text="What?", requestId=questions[1])
            await caller.until("turn_started")
            caller.connection.transport.abort()
        async with calling(url, after=3) as caller:
            # One that a process before this one took, one of the socket before, and a new one.
            for question in questions:
                await caller.send(type="text", text="What?", requestId=question)
            asked = [(await caller.until("turn_started"))["requestId"] for _ in range(2)]
            assert asked == questions[1:]
            await caller.until("turn_finished")
        assert turns_of(rig) == 3


def turns_of(rig: SpeechRig) -> int:
    """Return how many turns were begun."""
    return sum(each.HasField("turn_started") for each in rig.tasks.records[TASK_ID])


def past(
    *, turns: int, started: events_pb.TurnStarted | None = None
) -> list[events_pb.ConversationEvent]:
    """Return the record of turns with long replies."""
    started = started or events_pb.TurnStarted(user_text="What else?")
    finished = events_pb.TurnFinished(reply_text="It was long.", heard_text="It was long.")
    told: list[dict[str, Any]] = [
        {"turn_started": started},
        {"reply_updated": events_pb.ReplyUpdated(delta="long " * 800)},
        {"turn_finished": finished},
    ]
    return [
        events_pb.ConversationEvent(
            sequence=3 * turn + at, event_time=to_timestamp(0), turn_id=turn + 1, **event
        )
        for turn in range(turns)
        for at, event in enumerate(told, start=1)
    ]


def webm_opus(*, seconds: float) -> bytes:
    """Return a recording as browsers make it, of a loud tone."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        samples = (0.5 * 32767 * np.sign(np.sin(np.arange(int(seconds * 48_000)) * 0.05))).astype(
            "<i2"
        )
        for at in range(0, len(samples) - 959, 960):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "s16", "mono")
            frame.sample_rate, frame.pts = 48_000, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


@pytest.mark.parametrize("asked", ["talk-to-ai", "say", "interrupt"])
async def test_a_request_waits_for_speech_that_restarts(asked: str) -> None:
    async with speech_rig() as rig, proxying(f"http://{rig.address}") as proxy:
        proxy.cut()
        async with (
            gateway_before(rig, speech=proxy.url.removeprefix("http://")) as url,
            httpx.AsyncClient(
                base_url=url.replace("ws", "http", 1), timeout=60, trust_env=False
            ) as client,
        ):
            asking = asyncio.create_task(
                client.post(
                    f"/api/digital-human/{asked}", json={"taskId": TASK_ID, "text": "Hello?"}
                )
            )
            await asyncio.wait({asking}, timeout=1)
            proxy.mend()
            assert (await asking).status_code == 200
