package parley.client

import java.io.IOException
import kotlin.coroutines.cancellation.CancellationException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.DurationUnit
import kotlin.time.TimeSource
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.consumeAsFlow
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.plus
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.JsonObject
import okhttp3.OkHttpClient
import okhttp3.Request
import okio.ByteString
import okio.ByteString.Companion.toByteString

/** Who decides that the user has finished: the service, or the user by letting a button go. */
public enum class TurnDetection { SERVER, MANUAL }

/** The state of a line; SUSPENDED: it is open, but the speech service is lost for the moment. */
public enum class Link { CONNECTING, CONNECTED, SUSPENDED, BROKEN, CLOSED }

/** A function of the app that the model may call. */
public fun interface Tool {
    /** Returns what the model is told, text or JSON; an exception's message is told as a failure. */
    public suspend fun call(arguments: JsonObject): String
}

/** A problem with a lesser status is a refusal: another try would be refused again. */
private const val SERVER_ERRORS = 500
private val READY_TIME = 10.seconds

/** A socket that lives this long ends the outage before it. */
private val OUTAGE_OVER = 5.seconds

/** Five seconds of audio that the network does not take: the connection is dead. */
private const val MOST_UNSENT_BYTES = 160_000L

/** Of 20 ms each: what the user says in the last five seconds of an outage is sent afterwards. */
private const val MOST_WAITING_FRAMES = 250

/**
 * The open line to a digital human: voice and questions up, events down, over as many sockets as it
 * takes. Every event is reported once and in order; a question that a broken socket may have lost is
 * asked again.
 *
 * Its functions may be called from any thread, and do not block.
 */
public class Line internal constructor(
    scope: CoroutineScope,
    private val http: OkHttpClient,
    private val detection: TurnDetection,
    after: Long,
    private val tools: Map<String, Tool>,
    private val readyTime: Duration = READY_TIME,
    private val request: suspend (after: Long) -> Request,
) : AutoCloseable {
    private val reported = Channel<Event>(Channel.UNLIMITED)
    private val linked = MutableStateFlow(Link.CONNECTING)

    /**
     * What happens, for one collector. It ends when the line is closed, and fails with the [Problem]
     * that the gateway refuses or ends the line with, such as TASK_ENDED.
     */
    public val events: Flow<Event> = reported.consumeAsFlow()
    public val link: StateFlow<Link> = linked.asStateFlow()

    /** The position of the last event that was reported, after which another line may go on. */
    @Volatile
    public var lastSequence: Long = after
        private set

    // One coroutine does all that is to be done, one thing after the other; what follows is its own.
    private val actions = Channel<() -> Unit>(Channel.UNLIMITED)
    private val life = SupervisorJob(scope.coroutineContext[Job])
    private val lineScope = scope + life
    private var socket: LineSocket? = null

    /** The last event before the socket, null until it is ready. */
    private var lastBefore: Long? = null
    private val told = mutableListOf<Told>()

    /** Calls of the app's functions by id, in order, until what was missed is known: it may settle them. */
    private val waitingCalls = LinkedHashMap<String, ToolCalled>()

    /** Audio since the button was pressed, or audio that could not be sent. */
    private var frames = ArrayDeque<ByteString>()
    private var failures = 0
    private var openedAt = TimeSource.Monotonic.markNow()
    private var mostUnsent = MOST_UNSENT_BYTES
    private var timer: Job? = null

    private val listener = object : LineSocket.Listener {
        override fun onMessage(socket: LineSocket, text: String) = of(socket) { receive(text) }

        override fun onClosed(socket: LineSocket) = of(socket) { lose() }

        override fun onBroken(socket: LineSocket, cause: Throwable) = of(socket) {
            if (cause is IOException) lose() else end(cause)
        }

        private fun of(socket: LineSocket, action: () -> Unit) = post {
            if (socket === this@Line.socket) action()
        }
    }

    init {
        lineScope.launch {
            try {
                connect()
                for (action in actions) action()
            } catch (e: SerializationException) {
                end(e)
            } finally {
                socket?.cancel()
                reported.close()
                linked.value = Link.CLOSED
                life.cancel()
            }
        }
    }

    /**
     * Sends audio of the microphone: all of it with SERVER, with MANUAL what is said while holding.
     *
     * @param frame 16-bit little-endian samples, mono, 16 kHz; 20 ms are best, 65536 bytes the most.
     */
    public fun sendAudio(frame: ByteArray) {
        val copied = frame.toByteString()
        post { takeAudio(copied) }
    }

    /** The user has let the button go. */
    public fun commit(): Unit = post {
        val said = frames
        frames = ArrayDeque()
        if (said.isNotEmpty()) tell(Control.Commit, said)
    }

    /** Asks in writing; returns the `requestId` of its `turn_started`. */
    public fun ask(text: String): String {
        val requestId = newId()
        post {
            tell(Control.Text(text, requestId))
            if (socket == null) connect()
        }
        return requestId
    }

    /** Says that the digital human is seen and heard: it greets the user, unless the call has begun. */
    public fun greet(): Unit = post { send(Control.Greet) }

    /** Cuts off what is said, and all that was asked before. */
    public fun interrupt(): Unit = post {
        told.removeAll { it.isQuestion }
        send(Control.Interrupt)
    }

    /** Tells what a function of the app returned, or with [failed] why it did not; see [Tool]. */
    public fun answerTool(callId: String, result: String, failed: Boolean = false): Unit = post {
        tell(Control.ToolResult(callId, result, failed))
    }

    /** Connects now, where the line waits for its next try: the network is back. */
    public fun reconnect(): Unit = post { if (socket == null) connect() }

    /**
     * Closes the line and says that the user leaves: the task is stopped unless another line is opened
     * within [linger]. False when that could not be said; stop the task instead.
     */
    public suspend fun leave(linger: Duration = 15.seconds): Boolean {
        val isSaid = CompletableDeferred<Boolean>()
        post {
            isSaid.complete(lastBefore != null)
            send(Control.Leave(linger.toDouble(DurationUnit.SECONDS)))
            end()
        }
        life.invokeOnCompletion { isSaid.complete(false) }
        return isSaid.await()
    }

    /** Closes the line; the task goes on until nobody has talked with it for `maxIdleSeconds`. */
    override fun close(): Unit = post { end() }

    private fun post(action: () -> Unit) {
        actions.trySend(action)
    }

    private fun takeAudio(frame: ByteString) {
        if (detection == TurnDetection.MANUAL) {
            if (frames.isEmpty()) told.removeAll { it.isSpoken }
            frames.addLast(frame)
        } else if (lastBefore == null) {
            frames.addLast(frame)
            if (frames.size > MOST_WAITING_FRAMES) frames.removeFirst()
        }
        if (lastBefore == null) return
        socket?.send(frame)
        if ((socket?.unsentBytes ?: 0) > mostUnsent) lose()
    }

    private fun connect() {
        openedAt = TimeSource.Monotonic.markNow()
        val position = lastSequence
        socket = LineSocket(lineScope, http, { request(position) }, listener)
        later(readyTime) { lose() }
    }

    private fun lose() {
        socket?.cancel()
        socket = null
        lastBefore = null
        if (openedAt.elapsedNow() > OUTAGE_OVER) failures = 0
        linked.value = Link.BROKEN
        later(backoff(failures++)) { connect() }
    }

    /** What the gateway says before it closes the line; after a failure of its own it may be asked again. */
    private fun take(problem: ProblemBody) {
        if (problem.status < SERVER_ERRORS) end(problem.toProblem()) else lose()
    }

    private fun end(cause: Throwable? = null) {
        socket?.close()
        socket = null
        reported.close(cause)
        actions.cancel()
    }

    private fun receive(text: String) {
        val message = wire.decodeFromString<LineMessage>(text)
        if (message.problem != null) return take(message.problem)
        when (message.event) {
            "conversation_suspended" -> linked.value = Link.SUSPENDED
            "conversation_resumed" -> linked.value = Link.CONNECTED
            else -> report(Event.read(message.event, message.sequence, message.data))
        }
    }

    /** Reports an event once: another socket may send it again. */
    private fun report(event: Event) {
        if (event.data is Ready) return begin(event.data)
        val sequence = event.sequence ?: return
        if (sequence <= lastSequence) return
        lastSequence = sequence
        told.firstOrNull { it.isTakenBy(event) }?.let(told::remove)
        reported.trySend(event)
        noteCalls(event.data)
        noteArrival()
    }

    private fun noteCalls(data: EventData) {
        if (data is ToolCalled && data.name in tools) waitingCalls[data.callId] = data
        data.settledCalls.forEach { waitingCalls.remove(it.callId) }
    }

    private fun begin(ready: Ready) {
        timer?.cancel()
        timer = null
        lastBefore = ready.lastSequence
        frames.forEach { socket?.send(it) }
        if (detection == TurnDetection.SERVER) frames.clear()
        mostUnsent = MOST_UNSENT_BYTES + (socket?.unsentBytes ?: 0)
        noteArrival()
    }

    /** The line is back once what was missed has arrived, which shows what was taken. */
    private fun noteArrival() {
        val missed = lastBefore ?: return
        if (lastSequence < missed) return
        if (linked.value != Link.CONNECTED) {
            told.filter { it.socket !== socket }.forEach(::tellAgain)
            linked.value = Link.CONNECTED
        }
        val calls = waitingCalls.values.toList()
        waitingCalls.clear()
        calls.forEach { called -> tools[called.name]?.let { call(it, called) } }
    }

    private fun tellAgain(each: Told) {
        each.socket = socket
        each.frames.forEach { socket?.send(it) }
        send(each.control)
    }

    private fun tell(control: Control, frames: List<ByteString> = emptyList()) {
        send(control)
        told += Told(control, frames, socket.takeIf { lastBefore != null })
    }

    private fun send(control: Control) {
        if (lastBefore != null) socket?.send(control.toText())
    }

    private fun call(tool: Tool, called: ToolCalled) {
        lineScope.launch {
            try {
                answerTool(called.callId, tool.call(wire.decodeFromString(called.arguments)))
            } catch (e: CancellationException) {
                throw e
            } catch (e: Exception) {
                answerTool(called.callId, e.message ?: "It failed.", failed = true)
            }
        }
    }

    private fun later(pause: Duration, action: () -> Unit) {
        timer?.cancel()
        timer = lineScope.launch {
            delay(pause)
            val due = coroutineContext.job
            post { if (due === timer) action() }
        }
    }
}
