package parley.client

import java.util.UUID
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonObject
import okio.ByteString

/** A message that comes down a line: an event, or why the line is closed after it. */
@Serializable
internal data class LineMessage(
    val event: String = "",
    val sequence: Long? = null,
    val data: JsonObject = JsonObject(emptyMap()),
    val problem: ProblemBody? = null,
)

/** A message that goes up a line, beside sound. */
@Serializable
internal sealed interface Control {
    @Serializable
    @SerialName("commit")
    data object Commit : Control

    @Serializable
    @SerialName("text")
    data class Text(val text: String, val requestId: String) : Control

    @Serializable
    @SerialName("greet")
    data object Greet : Control

    @Serializable
    @SerialName("interrupt")
    data object Interrupt : Control

    @Serializable
    @SerialName("tool_result")
    data class ToolResult(val callId: String, val result: String, val failed: Boolean) : Control

    @Serializable
    @SerialName("leave")
    data class Leave(val lingerSeconds: Double) : Control
}

internal fun Control.toText(): String = wire.encodeToString(Control.serializer(), this)

/** Something told, which the next socket tells again unless it was taken. */
internal class Told(
    val control: Control,
    /** What the user said. */
    val frames: List<ByteString>,
    /** What it was sent by; null when nothing could send it. */
    var socket: LineSocket?,
) {
    val isSpoken: Boolean get() = control is Control.Commit

    /** Whether it asks for a turn, which an interruption makes pointless. */
    val isQuestion: Boolean get() = control !is Control.ToolResult

    /** Whether the event shows that the service has it. */
    fun isTakenBy(event: Event): Boolean = when (control) {
        is Control.Commit -> event.data is SpeechEnded
        is Control.Text -> (event.data as? TurnStarted)?.requestId == control.requestId
        is Control.ToolResult -> event.data.settledCalls.any { it.callId == control.callId }
        else -> true
    }
}

/** The calls of tools that an event settles: a turn's end may also name some that still run. */
internal val EventData.settledCalls: List<MadeToolCall>
    get() = when (this) {
        is TurnFinished -> toolCalls
        is TurnFailed -> toolCalls
        else -> emptyList()
    }.filter { it.outcome != null }

internal fun newId(): String = UUID.randomUUID().toString()
