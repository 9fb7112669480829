package parley.client

import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject

/** What the gateway's answers and events are read with: members that are not known are ignored. */
@OptIn(ExperimentalSerializationApi::class)
internal val wire = Json {
    ignoreUnknownKeys = true
    explicitNulls = false
    encodeDefaults = true
}

/**
 * A digital human to put on air. Only the room and the stream are required.
 *
 * @property roomId 1 to 128 bytes.
 * @property streamId letters, digits, `-` and `_`, up to 128; unique among running tasks.
 * @property lang such as `en`; the persona must speak it.
 * @property maxAbsenceSeconds the task ends once its client is gone for so long: no app that was
 * killed leaves a digital human that costs money. `null`: the client may be gone.
 * @property greeting what is said first; `""`: nothing. `null`: what the persona says.
 * @property greetWhen [WATCHED] where the app says when its user sees the digital human, by
 * [Line.greet].
 * @property clientTools what the model may have the app do in this call, beside what the persona has.
 */
@Serializable
public data class TaskOrder(
    public val roomId: String,
    public val streamId: String,
    public val personaId: String? = null,
    public val lang: String? = null,
    public val digitalHumanId: String? = null,
    public val userId: String? = null,
    public val backgroundColor: String? = null,
    public val maxDurationSeconds: Int? = null,
    public val maxIdleSeconds: Int? = null,
    public val maxAbsenceSeconds: Int? = 60,
    public val greeting: String? = null,
    public val greetWhen: String? = null,
    public val context: String? = null,
    public val variables: Map<String, String>? = null,
    public val hotWords: List<String>? = null,
    public val voiceId: String? = null,
    public val tools: List<String>? = null,
    public val clientTools: List<ClientTool>? = null,
) {
    public companion object {
        public const val ON_AIR: String = "ON_AIR"
        public const val WATCHED: String = "WATCHED"
    }
}

/**
 * A function of the app; its calls are [ToolCalled].
 *
 * @property parameters JSON Schema of its arguments, an object of type `object`; `null`: it takes none.
 * @property timeoutSeconds how long the reply waits for its result, 1 to 300; `null`: 20.
 */
@Serializable
public data class ClientTool(
    public val name: String,
    public val description: String,
    public val parameters: JsonObject? = null,
    public val timeoutSeconds: Int? = null,
)

/**
 * A digital human on air for one room and stream.
 *
 * @property state CREATING, STARTING, STREAMING, STOPPING, STOPPED or FAILED.
 * @property stopReason why it was stopped, such as REQUESTED, IDLE or CLIENT_GONE.
 */
@Serializable
public data class Task(
    public val taskId: String,
    public val state: String,
    public val roomId: String,
    public val streamId: String,
    public val digitalHumanId: String? = null,
    public val personaId: String? = null,
    public val lang: String? = null,
    public val userId: String? = null,
    public val stopReason: String? = null,
    public val failure: Failure? = null,
) {
    /** Whether it is in a final state. */
    public val isOver: Boolean get() = state == "STOPPED" || state == "FAILED"
}

/** Why something failed: a reason of docs/errors.md, and words. */
@Serializable
public data class Failure(public val reason: String, public val message: String)

/**
 * A viewer's token, and where to watch.
 *
 * @property expiresAt RFC 3339, UTC.
 */
@Serializable
public data class ViewerToken(
    public val token: String,
    public val expiresAt: String,
    public val appId: Long,
    public val playback: Playback,
)

/**
 * How the digital human is watched.
 *
 * @property protocol `WHEP`, with the address of the stream, or `ZEGO_EXPRESS`, with the SDK's server.
 */
@Serializable
public data class Playback(public val protocol: String, public val url: String? = null)

/**
 * A turn that is over; without [turnId] nothing was said.
 *
 * @property heard the part of [reply] that was played, and what the model remembers.
 */
@Serializable
public data class Answer(
    public val message: String,
    public val turnId: Long? = null,
    public val transcript: String? = null,
    public val reply: String? = null,
    public val heard: String? = null,
    public val interrupted: Boolean? = null,
    public val timings: Timings? = null,
    public val ledger: Ledger? = null,
)

/** When the stages of a turn were reached, in milliseconds after the last sound of the question. */
@Serializable
public data class Timings(
    public val endpointMs: Long? = null,
    public val transcriptMs: Long? = null,
    public val firstTokenMs: Long? = null,
    public val firstSentenceMs: Long? = null,
    public val firstAudioMs: Long? = null,
    public val playbackStartedMs: Long? = null,
)

/** How much of a reply became sound and was heard, and how that is known. */
@Serializable
public data class Ledger(
    public val sentenceCount: Int,
    public val producedMs: Long,
    public val sentMs: Long,
    public val playedMs: Long,
    public val playbackMethod: String? = null,
    public val heardMethod: String? = null,
    public val confidence: Double,
)

/** What an app needs to know before a call. */
@Serializable
public data class Config(
    public val version: String,
    public val needsKey: Boolean,
    public val defaultPersonaId: String? = null,
    public val personas: List<Persona>,
    public val languages: List<String>,
)

/** Who the digital human is; the maps are by language. */
@Serializable
public data class Persona(
    public val personaId: String,
    public val displayName: String? = null,
    public val description: String? = null,
    public val languages: List<String>,
    public val displayNames: Map<String, String> = emptyMap(),
    public val greetings: Map<String, String> = emptyMap(),
    public val sampleQuestions: Map<String, String> = emptyMap(),
)
