"""Where a stream's audio goes: push-to-talk, or turn detection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from services.speech.listening.ports import TurnEndModel, VoiceDetector
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.rules import ListeningRules
from services.speech.listening.turn_detector import TurnDetector

AudioInput: TypeAlias = PushToTalk | TurnDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What audio inputs are made of."""

    make_detector: Callable[[], VoiceDetector]
    turn_end: TurnEndModel | None
    rules: ListeningRules
