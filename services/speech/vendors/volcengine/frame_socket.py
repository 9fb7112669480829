"""A connection that carries Volcengine's frames, and what their errors mean."""

import json

import structlog

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.http.client import Endpoint, malformed_answer
from services.speech.vendors.http.error_details import read_error, redacted
from services.speech.vendors.volcengine.frames import Frame, FrameType, decode
from services.speech.vendors.websocket.client import VendorSocket

log = structlog.get_logger(__name__)

SUCCESSES = (0, 1000, 20_000_000)
EMPTY_SOUND = 45_000_002
_LATE_SOUND = 45_000_081
_QUOTA = ("quota", "concurrency", "rate limit", "overdue", "arrears")
_KNOWN = frozenset((FrameType.RESPONSE, FrameType.SPEECH))


class VolcengineError(ProviderError):
    """An error that Volcengine reports with a code."""

    def __init__(self, stage: Stage, provider: str, code: int, *, vendor_message: str) -> None:
        what = f"the provider fails with code {code}"
        is_transient = not 45_000_000 <= code < 46_000_000 or code in (EMPTY_SOUND, _LATE_SOUND)
        super().__init__(
            stage, provider, what, transient=is_transient, vendor_message=vendor_message
        )
        self.code = code


class FrameSocket:
    """Sends and receives frames on an open connection."""

    def __init__(self, socket: VendorSocket, endpoint: Endpoint, stage: Stage) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._stage = stage

    async def send(self, frame: Frame) -> None:
        """Send a frame; raises ProviderError if the vendor takes no more."""
        await self._socket.send(frame.encode())

    async def receive(self) -> Frame:
        """Return the next frame of a known type; raises ProviderError, also for an error's."""
        while True:
            message = await self._socket.receive()
            if isinstance(message, str):
                continue
            try:
                frame = decode(message)
            except ValueError as error:
                raise self.malformed(str(error)) from None
            if frame.type == FrameType.ERROR:
                raise self.failure(frame.code, frame.payload.decode(errors="replace"))
            if frame.type in _KNOWN:
                return frame

    def failure(self, code: int, text: str) -> ProviderError:
        """Return the error for a code and the text that explains it."""
        name = self._endpoint.name
        said = redacted(read_error(text).message, self._endpoint.api_key)
        log.warning(
            "vendor reported an error",
            stage=self._stage,
            provider=name,
            code=code,
            log_id=self._log_id,
        )
        if any(each in said.lower() for each in _QUOTA):
            what = f"the provider fails with code {code}"
            return ProviderQuotaError(self._stage, name, what, vendor_message=said)
        return VolcengineError(self._stage, name, code, vendor_message=said)

    def failure_in(self, frame: Frame) -> ProviderError | None:
        """Return the error that the document of a frame reports, None if it reports none."""
        if not frame.payload:
            return None
        try:
            document = frame.document
            code = int(document.get("status_code", document.get("code", 0)))
        except (ValueError, TypeError):
            return self.malformed("a document of another shape")
        return None if code in SUCCESSES else self.failure(code, json.dumps(document))

    def malformed(self, what: str) -> ProviderError:
        """Return the error for a message that breaks the protocol."""
        log.warning(
            "vendor answer malformed",
            stage=self._stage,
            provider=self._endpoint.name,
            log_id=self._log_id,
        )
        return malformed_answer(self._stage, self._endpoint, what)

    @property
    def _log_id(self) -> str:
        headers = {key.lower(): value for key, value in self._socket.response_headers.items()}
        return headers.get("x-tt-logid", "")
