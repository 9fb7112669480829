package parley.client

import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.CopyOnWriteArrayList
import javax.net.ServerSocketFactory
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonPrimitive
import mockwebserver3.Dispatcher
import mockwebserver3.MockResponse
import mockwebserver3.MockWebServer
import mockwebserver3.RecordedRequest
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString

/** Longer than anything here takes, however busy the machine. */
internal val PATIENCE = 60.seconds

/** A test of what suspends, which fails when it waits in vain. */
internal fun test(body: suspend CoroutineScope.() -> Unit): Unit = runBlocking { withTimeout(PATIENCE, body) }

/** A server whose lines the test holds at the other end. */
internal class ScriptedGateway : AutoCloseable {
    val lines = Channel<ServedLine>(Channel.UNLIMITED)
    private val accepted = CopyOnWriteArrayList<Socket>()
    val server = MockWebServer()
    val url: String get() = server.url("/").toString()

    init {
        server.serverSocketFactory = object : ServerSocketFactory() {
            override fun createServerSocket() = object : ServerSocket() {
                override fun accept(): Socket = super.accept().also(accepted::add)
            }

            override fun createServerSocket(port: Int) = throw UnsupportedOperationException()

            override fun createServerSocket(port: Int, backlog: Int) = throw UnsupportedOperationException()

            override fun createServerSocket(port: Int, backlog: Int, address: InetAddress?) =
                throw UnsupportedOperationException()
        }
        server.dispatcher = object : Dispatcher() {
            override fun dispatch(request: RecordedRequest): MockResponse {
                val line = ServedLine(request) { accepted[request.connectionIndex] }
                lines.trySend(line)
                return MockResponse.Builder().webSocketUpgrade(line).build()
            }
        }
        server.start()
    }

    /** The next line that is opened, once it is ready with what it missed. */
    suspend fun readyLine(lastSequence: Long = 0): ServedLine =
        lines.receive().also { it.send("""{"event":"ready","data":{"lastSequence":$lastSequence}}""") }

    override fun close() = server.close()
}

/** The gateway's end of a line. */
internal class ServedLine(
    val request: RecordedRequest,
    private val connection: () -> Socket,
) : WebSocketListener() {
    private val opened = Channel<WebSocket>(1)

    /** What the client sends: texts and sound. */
    val received = Channel<Any>(Channel.UNLIMITED)
    val codes = Channel<Int>(Channel.UNLIMITED)
    private var socket: WebSocket? = null

    suspend fun send(text: String) {
        socket().send(text)
    }

    suspend fun event(name: String, sequence: Int, data: String) =
        send("""{"event":"$name","sequence":$sequence,"data":$data}""")

    suspend fun close(code: Int) {
        socket().close(code, null)
    }

    /** Ends it as a network does. */
    fun breakOff() = connection().close()

    suspend fun control(): JsonObject = Json.decodeFromString(received.receive() as String)

    suspend fun type(): String = control().getValue("type").jsonPrimitive.content

    private suspend fun socket(): WebSocket = socket ?: opened.receive().also { socket = it }

    override fun onOpen(webSocket: WebSocket, response: Response) {
        opened.trySend(webSocket)
    }

    override fun onMessage(webSocket: WebSocket, text: String) {
        received.trySend(text)
    }

    override fun onMessage(webSocket: WebSocket, bytes: ByteString) {
        received.trySend(bytes)
    }

    override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
        codes.trySend(code)
        webSocket.close(code, null)
    }

    override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) {
        codes.trySend(BROKEN)
    }

    companion object {
        const val BROKEN = 0
    }
}
