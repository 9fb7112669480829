"""ElevenLabs: contexts on one socket, each message with the times of its characters."""

import base64
import json
from typing import Any, ClassVar

from services.speech.vendors.elevenlabs_speech import VENDOR
from tests.conformance.script import CHARACTER_S, Spoken, sound_of, sounds_at
from tests.conformance.socket_server import Connection, SocketServer
from tests.conformance.subject import Subject

RATE_HERTZ = 24_000
CHARACTERS = 5
"""How many come in a message."""
MOST_CONTEXTS = 5


class ContextServer(SocketServer[Spoken]):
    """Speaks each text of a context when it comes."""

    garbage = json.dumps({"audio": 5, "alignment": {"chars": 5}})
    unknown = (
        json.dumps({"applause": True, "contextId": "another"}),
        json.dumps({"audio": "AAAA", "contextId": "one-that-was-cancelled"}),
    )
    spelling: ClassVar[tuple[str, str, str]] = (
        *("contextId", "charStartTimesMs", "charDurationsMs"),
    )
    ends_what_is_cancelled: ClassVar[bool] = True
    """Whether a cancelled context is final soon."""
    counts_anew: ClassVar[bool] = False
    """Whether the times of each message count from its beginning."""

    async def converse(self, connection: Connection[Spoken]) -> None:
        """Serve contexts until the connection ends."""
        *_, voice_id, end = connection.path.split("/")
        assert end == "multi-stream-input"
        assert connection.query["output_format"] == [f"pcm_{RATE_HERTZ}"]
        contexts: dict[str, Spoken] = {}
        async for text in connection:
            message = json.loads(text)
            context_id = message["context_id"]
            if context_id not in contexts:
                assert message["text"] == " "
                if len(contexts) == MOST_CONTEXTS:
                    await connection.refuse(json.dumps({"error": "max_active_conversations"}))
                    await connection.close(1008, "max_active_conversations")
                    return
                contexts[context_id] = connection.begin(
                    Spoken(
                        voice_id=voice_id,
                        language=connection.query["language_code"][0],
                        speed=message["voice_settings"]["speed"],
                    )
                )
            elif "text" in message:
                assert message["text"].endswith(" ")
                await self._speak(connection, contexts[context_id], context_id, message["text"])
            elif message.get("flush"):
                contexts[context_id].is_finished = True
            elif message.get("close_context"):
                contexts[context_id].has_ended = True
                if contexts[context_id].is_finished or self.ends_what_is_cancelled:
                    final = {"isFinal": True, self.spelling[0]: context_id}
                    await connection.answer(json.dumps(final))
                    del contexts[context_id]

    async def _speak(
        self, connection: Connection[Spoken], session: Spoken, context_id: str, text: str
    ) -> None:
        spoken = "".join(session.texts)
        session.texts.append(text)
        sound = sound_of(text, RATE_HERTZ)
        start = 0
        for place in range(0, len(text), CHARACTERS):
            characters = text[place : place + CHARACTERS]
            heard = spoken + text[:place]
            # One byte more than the characters: the sound is cut within samples.
            end = len(sound_of(text[: place + CHARACTERS], RATE_HERTZ)) + 1
            message = {
                "audio": base64.b64encode(sound[start:end]).decode(),
                "isFinal": None,
                "normalizedAlignment": None,
                "alignment": self._alignment(heard, characters),
                self.spelling[0]: context_id,
            }
            await connection.answer(json.dumps(message, ensure_ascii=False))
            start = end

    def _alignment(self, heard: str, characters: str) -> dict[str, Any]:
        offset_s = 0.0 if self.counts_anew else sounds_at(heard, len(heard))
        starts = [offset_s + sounds_at(characters, each) for each in range(len(characters))]
        durations = [CHARACTER_S if each.strip() else 0.0 for each in characters]
        return {
            "chars": [*characters],
            self.spelling[1]: [round(each * 1000) for each in starts],
            self.spelling[2]: [round(each * 1000) for each in durations],
        }


SUBJECTS = (
    Subject(
        name="elevenlabs",
        vendor=VENDOR,
        server=ContextServer.open,
        without=dict.fromkeys(("style", "emotion"), "the text and the voice decide how it sounds"),
    ),
)
