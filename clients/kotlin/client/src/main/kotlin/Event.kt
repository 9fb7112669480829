package parley.client

import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonObject

/**
 * Something that happened in a conversation or to its task.
 *
 * @property sequence its position, after which a line or a stream resumes; null where it has none.
 */
public data class Event(
    public val name: String,
    public val sequence: Long?,
    public val data: EventData,
) {
    internal companion object {
        fun read(name: String, sequence: Long?, data: JsonObject): Event =
            Event(name, sequence, kinds[name]?.let { wire.decodeFromJsonElement(it, data) } ?: Unknown(data))
    }
}

/** What an event says. Times are in milliseconds; offsets in text count Unicode code points. */
public sealed interface EventData

/** The question is taken, or the line is open. */
@Serializable
public data class Ready(
    public val taskId: String? = null,
    public val personaId: String? = null,
    public val lang: String? = null,
    public val voiceId: String? = null,
    public val lastSequence: Long,
) : EventData

/** A voice is heard from the user. */
@Serializable
public data class SpeechStarted(public val turnId: Long, public val offsetMs: Long) : EventData

/** The user's utterance is over. */
@Serializable
public data class SpeechEnded(public val turnId: Long, public val offsetMs: Long) : EventData

/** What sounded like words asks for nothing: NOISE, BACKCHANNEL or ECHO. */
@Serializable
public data class SpeechDismissed(public val reason: String? = null, public val text: String? = null) : EventData

/** The whole utterance so far; a later one replaces it. */
@Serializable
public data class TranscriptUpdated(
    public val turnId: Long,
    public val text: String,
    public val isFinal: Boolean,
) : EventData

/**
 * The user's words are taken, and a reply is being made.
 *
 * @property origin SPEECH, TEXT, SAY, PROMPT, RESUMED or GREETING.
 * @property transcript what was asked, if anything was.
 */
@Serializable
public data class TurnStarted(
    public val turnId: Long,
    public val origin: String? = null,
    public val transcript: String? = null,
    public val lang: String? = null,
    public val requestId: String? = null,
) : EventData

/** Text to append to the reply. */
@Serializable
public data class ReplyUpdated(public val turnId: Long, public val delta: String) : EventData

/** A sentence of the reply has become audio: what captions are made of. */
@Serializable
public data class SentenceStarted(
    public val turnId: Long,
    public val text: String,
    public val textStart: Int,
    public val textEnd: Int,
    public val audioOffsetMs: Long,
    public val words: List<WordTime> = emptyList(),
) : EventData

/** When a word of a sentence is heard. */
@Serializable
public data class WordTime(
    public val start: Int,
    public val end: Int,
    public val startMs: Long,
    public val endMs: Long,
)

/** The digital human began to speak the reply. */
@Serializable
public data class PlaybackStarted(public val turnId: Long, public val method: String? = null) : EventData

/**
 * The model calls a function of the app, which answers with [Line.answerTool] or [Gateway.answerTool].
 *
 * @property arguments a JSON object, as text.
 */
@Serializable
public data class ToolCalled(
    public val turnId: Long,
    public val callId: String,
    public val name: String,
    public val arguments: String,
) : EventData

/** A tool that was called in a turn; without [outcome] it was still running. */
@Serializable
public data class MadeToolCall(
    public val callId: String,
    public val name: String,
    public val arguments: String,
    public val outcome: String? = null,
    public val durationMs: Long,
)

/** The turn is over, and its reply was heard, wholly or in part. */
@Serializable
public data class TurnFinished(
    public val turnId: Long,
    public val reply: String,
    public val heard: String,
    public val interrupted: Boolean,
    public val timings: Timings,
    public val ledger: Ledger,
    public val toolCalls: List<MadeToolCall> = emptyList(),
) : EventData

/** The turn is over without a complete reply. */
@Serializable
public data class TurnFailed(
    public val turnId: Long,
    public val problem: ProblemBody,
    public val reply: String,
    public val heard: String,
    public val toolCalls: List<MadeToolCall> = emptyList(),
) : EventData

/** The task as it is when it begins to be watched. */
@Serializable
public data class Snapshot(public val lastSequence: Long, public val task: Task) : EventData

/** The task in its new state. */
@Serializable
public data class StateChanged(public val task: Task) : EventData

/** An event that this version does not know; ignore it. */
public data class Unknown(public val data: JsonObject) : EventData

private val kinds: Map<String, DeserializationStrategy<EventData>> = mapOf(
    "ready" to Ready.serializer(),
    "speech_started" to SpeechStarted.serializer(),
    "speech_ended" to SpeechEnded.serializer(),
    "speech_dismissed" to SpeechDismissed.serializer(),
    "transcript_updated" to TranscriptUpdated.serializer(),
    "turn_started" to TurnStarted.serializer(),
    "reply_updated" to ReplyUpdated.serializer(),
    "sentence_started" to SentenceStarted.serializer(),
    "playback_started" to PlaybackStarted.serializer(),
    "tool_called" to ToolCalled.serializer(),
    "turn_finished" to TurnFinished.serializer(),
    "turn_failed" to TurnFailed.serializer(),
    "snapshot" to Snapshot.serializer(),
    "state_changed" to StateChanged.serializer(),
)
