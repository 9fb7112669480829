"""A round trip to each vendor, as a conversation would make it, told in an operator's words."""

import asyncio
import math
import re
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeVar

from services.runtime.check import Finding, Verdict
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.profiles.profile import Profiles
from services.speech.provider_settings import (
    ChatVendorSettings,
    SynthesizerVendorSettings,
    VendorSettings,
)
from services.speech.providers.probes import probe_chat, probe_recognizer, probe_synthesizer
from services.speech.streams import Deadlines
from services.speech.vendors import registry

P = TypeVar("P")

PATIENCE = Deadlines(first_s=10, next_s=10, total_s=15)
SHOWN_VOICES = 12
_STATUS = re.compile(r"status (\d{3})")
_CLOCK = re.compile(r"clock|skew|timestamp|time ?stamp|expired", re.IGNORECASE)
_VOICE = re.compile(r"voice|speaker|timbre|音色|发音人", re.IGNORECASE)
_MODEL = re.compile(r"model|engine|resource|模型", re.IGNORECASE)
_BALANCE = re.compile(r"balance|arrear|billing|credit|payment|欠费|余额", re.IGNORECASE)


async def ask_vendors(profiles: Profiles) -> Sequence[Finding]:
    """Ask each vendor for something small, all at once."""
    return await asyncio.gather(*map(_ask, profiles.vendors))


async def _ask(vendor: VendorSettings) -> Finding:
    match vendor:
        case ChatVendorSettings():
            return await _asked(vendor, registry.open_chat(vendor, PATIENCE), probe_chat)
        case SynthesizerVendorSettings():
            return await _ask_synthesizer(vendor)
        case _:
            return await _ask_recognizer(vendor)


async def _ask_recognizer(vendor: VendorSettings) -> Finding:
    async def probe(recognizer: Recognizer) -> None:
        await probe_recognizer(recognizer, _tone())

    return await _asked(vendor, registry.open_recognizer(vendor, PATIENCE), probe)


async def _ask_synthesizer(vendor: SynthesizerVendorSettings) -> Finding:
    async def probe(synthesizer: Synthesizer) -> str:
        await probe_synthesizer(synthesizer)
        return f"; voices: {_some([voice.voice_id for voice in synthesizer.voices])}"

    finding = await _asked(vendor, registry.open_synthesizer(vendor, PATIENCE), probe)
    if finding.verdict is not Verdict.FINE:
        return finding
    offered = await _offered(vendor)
    if offered is None or not (missing := set(vendor.voice_ids) - set(offered)):
        return finding
    return replace(
        finding,
        verdict=Verdict.WARNING,
        found=f"{finding.found}; it does not list {', '.join(sorted(missing))}",
        remedy=f"Set {vendor.told('voices')} to some of {_some(offered)}.",
    )


async def _offered(vendor: SynthesizerVendorSettings) -> Sequence[str] | None:
    """Return the voices that the vendor lists; None if it lists none for this key."""
    list_voices = registry.SYNTHESIZERS[vendor.kind].list_voices
    if list_voices is None:
        return None
    try:
        return [each.voice_id for each in await list_voices(vendor, PATIENCE)]
    except ProviderError:
        return None  # That it speaks is what counts.


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_VOICES} more" if len(names) > SHOWN_VOICES else ""
    return f"{', '.join(names[:SHOWN_VOICES])}{more}"


async def _asked(
    vendor: VendorSettings,
    opening: AbstractAsyncContextManager[P],
    probe: Callable[[P], Awaitable[str | None]],
) -> Finding:
    asked_at = time.monotonic()
    try:
        async with opening as provider:
            asked_at = time.monotonic()
            extra = await probe(provider) or ""
            took_s = time.monotonic() - asked_at
    except ProviderError as error:
        names = ", ".join(vendor.told(each) for each in ("base_url", "api_key", "model"))
        return Finding(
            subject=vendor.setting,
            verdict=Verdict.PROBLEM,
            found=f"{vendor.base_url}: {in_words(error, vendor)}",
            remedy=f"Check {names}, and the network.",
        )
    return Finding(
        subject=vendor.setting,
        verdict=Verdict.FINE,
        found=f"{vendor.base_url} answers after {took_s:.2f} s{extra}",
    )


def in_words(error: ProviderError, vendor: VendorSettings) -> str:
    """Return what is wrong, then what the vendor itself says."""
    return ": ".join(filter(None, (str(error), _meaning(error, vendor), error.vendor_message)))


def _meaning(error: ProviderError, vendor: VendorSettings) -> str:
    said = error.vendor_message
    status = _STATUS.search(str(error))
    code = int(status[1]) if status else 0
    if isinstance(error, ProviderQuotaError):
        is_unpaid = code == 402 or _BALANCE.search(said)
        return "the account has no balance left" if is_unpaid else "the quota is used up"
    if code == 401 or (code == 403 and not said):
        return "the key is not accepted" if code == 401 else "the key may not use this"
    if error.transient:
        return "nothing answers there" if "connection failed" in str(error) else ""
    if _CLOCK.search(said):
        return "the key is out of date, or this machine's clock is wrong"
    if isinstance(vendor, SynthesizerVendorSettings) and _VOICE.search(said):
        return f"this key may not use the voice {vendor.voice_ids[0]}, or there is none of the name"
    if _MODEL.search(said):
        return f"the model {vendor.model} does not exist there, or this key may not use it"
    match code:
        case 403:
            return "the key may not use this"
        case 404:
            return f"there is no such address or model; the model is {vendor.model}"
        case 400 | 422:
            return "it does not understand the request, perhaps because of the model"
    return ""


def _tone() -> bytes:
    """A second of 440 Hz, quiet: no speech, but not silence either."""
    step = 2 * math.pi * 440 / LISTENING_RATE_HERTZ
    return array(
        "h", (round(3000 * math.sin(step * at)) for at in range(LISTENING_RATE_HERTZ))
    ).tobytes()
