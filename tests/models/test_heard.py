"""What was heard of a real voice's replies: their ledgers' cuts against what an ear makes out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import pytest_asyncio

from services.speech.embedded.library import RECOGNITION_MODEL
from services.speech.embedded.store import ModelStore
from services.speech.playback.ledger import HeardMethod, Ledger
from services.speech.playback.voicing import Voicing
from services.speech.ports.synthesis import SpeechRequest
from services.speech.streams import once
from services.speech.text.segmentation import Splitter
from tests.support.alignment import Aligner
from tests.support.embedded import EmbeddedStack
from tests.support.heard import CHINESE, ENGLISH, SHORT_CHINESE, SHORT_ENGLISH, Reply
from tests.support.resampling import resample

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

RATE = 24_000
CUTS = 25
RECOGNIZED_EVERY = 12


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Two replies with numbers of all kinds, and with --thorough two that are twice as long."""
    replies = {"en": SHORT_ENGLISH, "zh": SHORT_CHINESE}
    if metafunc.config.getoption("thorough"):
        replies |= {"long en": ENGLISH, "long zh": CHINESE}
    metafunc.parametrize("reply", list(replies.values()), ids=list(replies), scope="module")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A reply that was spoken to its end: its sound, and its ledger with and without word times."""

    pcm: bytes
    timed: Ledger
    untimed: Ledger

    def cuts_s(self) -> list[float]:
        """Moments all over the sound, none of them special."""
        return [float(Fraction(2 * n + 1, 2 * CUTS)) * self.timed.produced_s for n in range(CUTS)]


async def speak(stack: EmbeddedStack, reply: Reply) -> Spoken:
    """Speak a reply as a turn does."""
    request = SpeechRequest(voice_id=reply.voice_id, language_code=reply.language_code)
    voicing = Voicing(synthesizer=stack.synthesizer, request=request)
    timed, untimed = (Ledger(sample_rate_hertz=RATE) for _ in range(2))
    pcm = b""
    splitter = Splitter()
    for segment in (*splitter.feed(reply.text), *splitter.flush()):
        spoken = voicing.spoken(segment.text)
        chunks = [chunk async for chunk in voicing.speak(once(spoken.text))]
        for ledger in (timed, untimed):
            characters, seconds = ledger.spoken_length, ledger.produced_s
            ledger.add_text(reply.text[len(ledger.reply_text) : segment.end])
            ledger.add_segment(text_start=segment.start, text_end=segment.end, spoken=spoken)
            for chunk in chunks:
                moved = chunk.moved(characters, seconds)
                words = moved.words if ledger is timed else ()
                ledger.add_audio(len(moved.pcm), words, moved.text_end)
        pcm += b"".join(chunk.pcm for chunk in chunks)
    for ledger in (timed, untimed):
        ledger.complete()
    return Spoken(pcm=pcm, timed=timed, untimed=untimed)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spoken(reply: Reply, stack: EmbeddedStack) -> Spoken:
    """The reply, spoken once for all that is measured of it."""
    return await speak(stack, reply)


@pytest.fixture(scope="module")
def aligner(store: ModelStore) -> Aligner:
    return Aligner(store.folder(RECOGNITION_MODEL))


async def test_a_cut_is_where_the_sound_is(reply: Reply, spoken: Spoken, aligner: Aligner) -> None:
    """At 25 moments: within one word, or two characters, of what is said until then."""
    samples = np.frombuffer(resample(spoken.pcm, RATE), "<i2").astype(np.float32) / np.float32(
        32768
    )
    starts_s = aligner.starts_s(samples, reply.said, reply.language_code)
    for name, ledger in (("timed", spoken.timed), ("untimed", spoken.untimed)):
        errors = []
        for at_s in spoken.cuts_s():
            heard = ledger.heard(at_s)
            assert heard.method is not HeardMethod.COMPLETE
            errors.append(reply.written(heard.text) - reply.sounded(starts_s, at_s))
        print(f"{reply.language_code} {name}: off by {errors}")
        # A voice that gives no times is cut by the length of its words: a little worse.
        slack = reply.tolerance + (ledger is spoken.untimed)
        assert max(map(abs, errors)) <= slack


async def test_a_cut_is_what_is_recognized_of_the_sound_before_it(
    reply: Reply, spoken: Spoken, transcribe: Callable[..., Awaitable[str]]
) -> None:
    for at_s in spoken.cuts_s()[RECOGNIZED_EVERY // 2 :: RECOGNIZED_EVERY]:
        sound = spoken.pcm[: 2 * int(at_s * RATE)]
        transcript = await transcribe(sound, reply.language_code, rate_hertz=RATE)
        heard = reply.written(spoken.timed.heard(at_s).text)
        print(at_s, heard, reply.recognized(transcript), transcript)
        assert min(abs(heard - n) for n in reply.recognized(transcript)) <= reply.tolerance
