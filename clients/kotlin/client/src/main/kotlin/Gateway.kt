package parley.client

import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.toJavaDuration
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.serialization.Serializable
import okhttp3.HttpUrl
import okhttp3.HttpUrl.Companion.toHttpUrl
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody

private val ANSWER_TIME = 20.seconds

/** Longer than the gateway waits for a digital human to go on air. */
private val CREATE_TIME = 90.seconds

/** An answer comes once it is spoken. */
private val TALK_TIME = 180.seconds

/** The gateway sends something more often than this. */
private val SILENCE = 45.seconds
private val PING_INTERVAL = 10.seconds

private val JSON = "application/json".toMediaType()
private const val EVENT_STREAM = "text/event-stream"

/** What the digital human is asked. */
public sealed interface Question {
    /** In writing, up to 4000 characters. */
    public data class Written(public val text: String) : Question

    /** A recording of up to a minute, such as `audio/wav`, `audio/mp4` or `audio/pcm;rate=16000`. */
    public class Spoken(public val recording: ByteArray, public val contentType: String) : Question
}

/**
 * What an app shows the gateway: a ticket, a user's token; null where the gateway is open. An app must
 * not contain an API key.
 */
public fun interface Credential {
    /**
     * Called before every request and every connection, so that it may fetch a ticket from a server
     * of the app's own, and keep it for as long as it is good. An `IOException` means that another try
     * may help.
     *
     * @param taskId the task that it is for; null where none is made yet, or none is meant.
     */
    public suspend fun of(taskId: String?): String?
}

/**
 * A gateway of Parley. Calls fail with [Problem] when it refuses and with [Unreachable] when it does
 * not answer, or not in time.
 *
 * @param baseUrl such as `https://parley.example.com`.
 * @param http the app's client, whose connections are shared.
 */
public class Gateway(
    baseUrl: String,
    private val credential: Credential = Credential { null },
    http: OkHttpClient = OkHttpClient(),
) {
    private val base = baseUrl.toHttpUrl()

    /** Each call brings its own time-out, which covers all of it. */
    private val calls = http.newBuilder().readTimeout(Duration.ZERO.toJavaDuration()).build()
    private val streams = http.newBuilder()
        .callTimeout(Duration.ZERO.toJavaDuration())
        .readTimeout(SILENCE.toJavaDuration())
        .build()
    private val sockets = http.newBuilder().pingInterval(PING_INTERVAL.toJavaDuration()).build()

    /** Personas, languages, and whether credentials are asked for. */
    public suspend fun config(): Config = read(calls.send(request(url("api", "config")).build(), ANSWER_TIME))

    /**
     * Puts a digital human on air; returns once it is.
     *
     * @param idempotencyKey makes it safe to repeat a call that got no answer: it gives the same task.
     */
    public suspend fun createTask(
        order: TaskOrder,
        idempotencyKey: String? = null,
        timeout: Duration = CREATE_TIME,
    ): Task {
        val request = request(human("create-task")).post(json(order))
        idempotencyKey?.let { request.header("Idempotency-Key", it) }
        return read(calls.send(request.build(), timeout))
    }

    public suspend fun task(taskId: String): Task =
        read(calls.send(request(human("tasks", taskId), taskId).build(), ANSWER_TIME))

    /** What happens to a task and its conversation, from now on or [after] a position, until it is over. */
    public fun watch(taskId: String, after: Long? = null): Flow<Event> = streams.events {
        val address = human("tasks", taskId, "events").newBuilder()
        after?.let { address.addQueryParameter("after", it.toString()) }
        request(address.build(), taskId).header("Accept", EVENT_STREAM).build()
    }

    /** Takes the digital human off air; repeating it is a success. */
    public suspend fun stopTask(taskId: String): Task = read(post("stop-task", taskId, TaskBody(taskId)))

    /** A viewer's token for a room and a stream in it, and where to watch. */
    public suspend fun token(userId: String, roomId: String, streamId: String): ViewerToken {
        val address = url("api", "token").newBuilder()
            .addQueryParameter("userId", userId)
            .addQueryParameter("roomId", roomId)
            .addQueryParameter("streamId", streamId)
        return read(calls.send(request(address.build()).build(), ANSWER_TIME))
    }

    /** Asks, and returns once the reply has been spoken. */
    public suspend fun ask(
        taskId: String,
        question: Question,
        lang: String? = null,
        timeout: Duration = TALK_TIME,
    ): Answer = read(calls.send(asking(taskId, question, lang).build(), timeout))

    /**
     * Asks, and reports the turn as it happens, until it is over.
     *
     * The turn goes on when the collector stops; [interrupt] ends it.
     */
    public fun talk(taskId: String, question: Question, lang: String? = null): Flow<Event> =
        streams.events { asking(taskId, question, lang).header("Accept", EVENT_STREAM).build() }

    /** Has it say its greeting, unless something was asked or said. */
    public suspend fun greet(taskId: String) {
        post("greet", taskId, TaskBody(taskId))
    }

    /** Cuts off what it says; with nothing to cut off it is a success. */
    public suspend fun interrupt(taskId: String) {
        post("interrupt", taskId, TaskBody(taskId))
    }

    /** Tells what a function of the app returned, or with [failed] why it did not. */
    public suspend fun answerTool(taskId: String, callId: String, result: String, failed: Boolean = false) {
        post("tool-result", taskId, ToolResultBody(taskId, callId, result, failed))
    }

    /**
     * Opens a line, which lives until it is closed, refused, or [scope] is cancelled.
     *
     * @param after the last event that the app has; the ones after it come first.
     * @param tools functions of the app by name, called when the model calls them.
     */
    public fun openLine(
        scope: CoroutineScope,
        taskId: String,
        detection: TurnDetection = TurnDetection.SERVER,
        after: Long = 0,
        tools: Map<String, Tool> = emptyMap(),
    ): Line = Line(scope, sockets, detection, after, tools) { position ->
        val address = human("talk").newBuilder()
            .addQueryParameter("taskId", taskId)
            .addQueryParameter("turnDetection", detection.name)
            .addQueryParameter("after", position.toString())
        request(address.build(), taskId).build()
    }

    private suspend fun asking(taskId: String, question: Question, lang: String?): Request.Builder {
        val address = human("talk-to-ai")
        return when (question) {
            is Question.Written -> request(address, taskId).post(json(AskBody(taskId, question.text, lang)))
            is Question.Spoken -> {
                val spoken = address.newBuilder().addQueryParameter("taskId", taskId)
                lang?.let { spoken.addQueryParameter("lang", it) }
                val recording = question.recording.toRequestBody(question.contentType.toMediaType())
                request(spoken.build(), taskId).post(recording)
            }
        }
    }

    private suspend inline fun <reified B> post(call: String, taskId: String, body: B): String =
        calls.send(request(human(call), taskId).post(json(body)).build(), ANSWER_TIME)

    private suspend fun request(address: HttpUrl, taskId: String? = null): Request.Builder {
        val shown = try {
            credential.of(taskId)
        } catch (e: IOException) {
            throw Unreachable(e)
        }
        val request = Request.Builder().url(address)
        return if (shown == null) request else request.header("Authorization", "Bearer $shown")
    }

    private fun human(vararg segments: String): HttpUrl = url("api", "digital-human", *segments)

    private fun url(vararg segments: String): HttpUrl =
        segments.fold(base.newBuilder()) { address, each -> address.addPathSegment(each) }.build()
}

private inline fun <reified A> read(answer: String): A = wire.decodeFromString(answer)

private inline fun <reified B> json(body: B): RequestBody = wire.encodeToString(body).toRequestBody(JSON)

@Serializable
private data class TaskBody(val taskId: String)

@Serializable
private data class AskBody(val taskId: String, val text: String, val lang: String?)

@Serializable
private data class ToolResultBody(
    val taskId: String,
    val callId: String,
    val result: String,
    val failed: Boolean,
)
