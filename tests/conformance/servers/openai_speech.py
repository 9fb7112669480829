"""OpenAI's voices: a text in, samples out."""

import json

from services.speech.vendors.openai_speech import VENDOR
from tests.conformance.http_server import HttpServer
from tests.conformance.script import Spoken, pieces, sound_of
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject
from tests.support.vendor import VendorRequest

RATE_HERTZ = 24_000


class SpeechServer(HttpServer[Spoken]):
    """Speaks each text in its own answer."""

    content_type = "audio/pcm"
    garbage = b"\x01\x00\x02"

    async def hear(self, request: VendorRequest) -> tuple[Spoken, list[bytes]]:
        """Read the document, and return the sound."""
        document = json.loads(request.body)
        session = Spoken(
            voice_id=document["voice"],
            speed=document.get("speed", 1.0),
            delivery=document.get("instructions", ""),
            texts=[document["input"]],
            is_finished=True,
        )
        return session, pieces(sound_of(document["input"], RATE_HERTZ))


SUBJECTS = (
    Subject(
        name="openai",
        vendor=VENDOR,
        server=SpeechServer.open,
        options={"voices": "alloy,echo"},
        without={
            **NO_OLD_CONNECTIONS,
            "text_ahead": "each text is its own request, and the next follows the sound of it",
            "connection_lost": "no connection is open while a text is written",
            "word_times": "plain sound has no times",
            "language": "the model finds the language out",
            "early_end": "plain sound does not say how long it is going to be",
            "unknown_messages": "plain sound is all there is",
        },
    ),
)
