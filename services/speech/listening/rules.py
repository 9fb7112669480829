"""The thresholds of listening."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningRules:
    """Thresholds, each of which a persona may set; probabilities 0..1, durations in seconds."""

    onset_probability: float = 0.5
    """From here a frame is taken for the beginning of speech."""
    voice_probability: float = 0.35
    """From here a frame continues speech."""
    onset_s: float = 0.08
    """So much voice in a row begins an utterance: a click does not."""
    lead_s: float = 0.3
    """Kept before the first voiced frame, whose consonant the detector may have missed."""
    tail_s: float = 0.3
    """Kept after the last voiced frame."""
    probe_s: float = 0.2
    """After so much silence the turn model and the recogniser are asked."""
    complete_probability: float = 0.88
    """From here the turn model takes the speaker for finished."""
    complete_silence_s: float = 0.3
    """Silence that ends an utterance which sounds and reads finished."""
    unknown_silence_s: float = 1.0
    """Silence that ends one of which that is not certain."""
    incomplete_silence_s: float = 1.2
    """Silence that ends one which seems unfinished."""
    longest_s: float = 60.0
    """An open microphone's utterance is ended here; a held button's is refused."""
    barge_in_s: float = 0.5
    """So much voice during a reply is looked into; words in it cut the reply off."""
    insist_s: float = 1.5
    """So much voice cuts a reply off while the recogniser has said nothing about it."""
    stalled_s: float = 1.0
    """An utterance of which no more audio comes, not even silence, is over after about so long; 0
    for never."""
    no_speech_s: float = 30.0
    """A user who is silent for so long is asked gently, once; 0 for never."""
