"""The thresholds of listening."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningRules:
    """Thresholds, each of which a persona may set; probabilities 0..1, durations in seconds."""

    onset_probability: float = 0.5
    """From here on, a frame counts as the beginning of speech."""
    voice_probability: float = 0.35
    """From here on, a frame continues speech."""
    onset_s: float = 0.08
    """An utterance begins with so much voice without a break: a click does not."""
    lead_s: float = 0.3
    """Kept before the first voiced frame, as the detector may have missed a consonant."""
    tail_s: float = 0.3
    """Kept after the last voiced frame."""
    probe_s: float = 0.2
    """After so much silence, the turn model and the recogniser are asked."""
    complete_probability: float = 0.88
    """From here on, the turn model is taken to say that the speaker has finished."""
    complete_silence_s: float = 0.3
    """Silence that ends an utterance that sounds and reads finished."""
    unknown_silence_s: float = 1.0
    """Silence that ends one for which that is not certain."""
    incomplete_silence_s: float = 1.2
    """Silence that ends one that seems unfinished."""
    longest_s: float = 60.0
    """With turn detection a longer utterance is ended here; with push-to-talk it is refused."""
    barge_in_s: float = 0.5
    """So much voice during a reply is recognised; words in it cut the reply off."""
    insist_s: float = 1.5
    """So much voice cuts a reply off if the recogniser has not answered by then."""
    stalled_s: float = 1.0
    """An utterance whose audio stops, silence included, is over after about so long; 0: never."""
    no_speech_s: float = 30.0
    """A user who is silent for so long is gently prompted, once; 0: never."""
