"""Deepgram's recognizers: Nova by version 1 of the API, Flux by version 2."""

from contextlib import AbstractAsyncContextManager

from services.speech.ports.recognition import Recognizer
from services.speech.streams import Deadlines
from services.speech.vendors.declaration import RecognizerVendor
from services.speech.vendors.deepgram.flux import FluxRecognizer
from services.speech.vendors.deepgram.nova import NovaRecognizer
from services.speech.vendors.deepgram.settings import DeepgramSettings


def open(
    settings: DeepgramSettings, deadlines: Deadlines
) -> AbstractAsyncContextManager[Recognizer]:
    """The recognizer that the settings describe."""
    if settings.is_flux:
        return FluxRecognizer.open(settings, deadlines)
    return NovaRecognizer.open(settings, deadlines)


VENDOR = RecognizerVendor(settings=DeepgramSettings, open=open)
