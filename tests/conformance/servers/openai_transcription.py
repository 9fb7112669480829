"""OpenAI's transcriptions: a recording in, a document with the text out."""

import io
import json
import wave
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from services.speech.vendors.openai_transcription import VENDOR
from tests.conformance.http_server import HttpServer
from tests.conformance.script import Heard, Trouble, Utterance
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject
from tests.support.vendor import VendorRequest

_AT_ONCE = "the vendor takes a whole recording, and answers with its text"
_NO_TIMES = "a plain transcription has no times"
_NO_ENDS = "the vendor hears no ends of turns"


class TranscriptionServer(HttpServer[Heard]):
    """Answers each recording with the final words."""

    content_type = "application/json"
    garbage = b'{"text": 5}'

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()

    async def hear(self, request: VendorRequest) -> tuple[Heard, list[bytes]]:
        """Read the form, and return the text in two pieces."""
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + request.body)
        fields: dict[Any, Any] = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in form.iter_parts()
        }
        with wave.open(io.BytesIO(fields["file"])) as recording:
            audio = recording.readframes(recording.getnframes())
        prompt = fields.get("prompt", b"").decode()
        session = Heard(
            languages=(fields["language"].decode(),) if "language" in fields else (),
            hot_words=tuple(filter(None, prompt.split(", "))),
            audio=audio,
            is_finished=True,
        )
        extra = {"applause": {"text": 1}} if self.trouble is Trouble.UNKNOWN else {}
        document = json.dumps({**extra, "text": self.utterance.final}).encode()
        return session, [document[:9], document[9:]]


SUBJECTS = (
    Subject(
        name="openai",
        vendor=VENDOR,
        server=TranscriptionServer.open,
        without={
            **NO_OLD_CONNECTIONS,
            "hypotheses_while_speaking": _AT_ONCE,
            "cancel": _AT_ONCE,
            "connection_lost": _AT_ONCE,
            "source_fails": _AT_ONCE,
            "word_times": _NO_TIMES,
            "word_times_of_the_next_utterance": _NO_TIMES,
            "turn_end": _NO_ENDS,
            "likely_turn_end": _NO_ENDS,
        },
    ),
)
