"""What is recorded of a conversation that no process holds: where the next process goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from services.speech.conversation.abandoned import Abandoned, sentences_of
from services.speech.dialogue.replies import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedConversation:
    """How far a task's conversation has come; `exchanges` are those of turns that are over.

    `request_ids` are those of the latest turns: what is sent again under one of them was taken.
    """

    exchanges: tuple[Exchange, ...]
    last_sequence: int
    last_turn_id: int
    abandoned: tuple[Abandoned, ...]
    request_ids: tuple[str, ...]


def from_record(
    record: pb.GetConversationResponse, latest: Sequence[ConversationEvent]
) -> RecordedConversation:
    """Return how far a conversation has come, from all its turns and its latest events."""
    last_turn_id = max((turn.turn_id for turn in record.turns), default=0)
    unrecognised = _unrecognised(latest, after_turn_id=last_turn_id)
    return RecordedConversation(
        exchanges=tuple(
            Exchange(user_text=turn.user_text, heard_text=turn.heard_text)
            for turn in record.turns
            if _is_over(turn)
        ),
        last_sequence=record.last_sequence,
        last_turn_id=max((last_turn_id, *unrecognised)),
        abandoned=(
            *(_abandoned(turn, latest) for turn in record.turns if not _is_over(turn)),
            *(
                Abandoned(turn_id=turn_id)
                for turn_id, is_awaited in sorted(unrecognised.items())
                if is_awaited
            ),
        ),
        request_ids=tuple(filter(None, (each.turn_started.request_id for each in latest))),
    )


def _is_over(turn: pb.Turn) -> bool:
    return turn.HasField("finish_time")


def _abandoned(turn: pb.Turn, latest: Sequence[ConversationEvent]) -> Abandoned:
    return Abandoned(
        turn_id=turn.turn_id,
        user_text=turn.user_text,
        reply_text=turn.reply_text,
        language_code=turn.language_code,
        sentences=sentences_of(turn.turn_id, latest),
    )


def _unrecognised(events: Sequence[ConversationEvent], *, after_turn_id: int) -> dict[int, bool]:
    """Return utterances that have become no turn yet, and whether a turn of theirs is awaited."""
    is_awaited: dict[int, bool] = {}
    for each in events:
        if each.turn_id > after_turn_id and each.HasField("speech_ended"):
            is_awaited[each.turn_id] = True
        elif each.turn_id in is_awaited and each.HasField("speech_dismissed"):
            is_awaited[each.turn_id] = False
    return is_awaited
