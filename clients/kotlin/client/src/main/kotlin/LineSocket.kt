package parley.client

import java.io.IOException
import kotlin.coroutines.cancellation.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString

private const val NORMAL_CLOSURE = 1000

/** One connection of a line, from its credential to its end. */
internal class LineSocket(
    scope: CoroutineScope,
    http: OkHttpClient,
    request: suspend () -> Request,
    private val listener: Listener,
) : WebSocketListener() {
    /** Told from threads of the client. */
    interface Listener {
        fun onMessage(socket: LineSocket, text: String)

        /** The gateway has closed it. */
        fun onClosed(socket: LineSocket)

        /** It broke, or never came to be. */
        fun onBroken(socket: LineSocket, cause: Throwable)
    }

    @Volatile
    private var socket: WebSocket? = null

    private val opening: Job = scope.launch {
        try {
            socket = http.newWebSocket(request(), this@LineSocket)
        } catch (e: CancellationException) {
            throw e
        } catch (e: Exception) {
            // Whatever the app's own credential fails with.
            listener.onBroken(this@LineSocket, e)
        }
    }

    /** Bytes that the network has not taken yet. */
    val unsentBytes: Long get() = socket?.queueSize() ?: 0

    fun send(text: String) {
        socket?.send(text)
    }

    fun send(frame: ByteString) {
        socket?.send(frame)
    }

    /** Closes it once all that was sent is on its way. */
    fun close() {
        opening.cancel()
        socket?.close(NORMAL_CLOSURE, null)
    }

    /** Closes it at once. */
    fun cancel() {
        opening.cancel()
        socket?.cancel()
    }

    override fun onOpen(webSocket: WebSocket, response: Response) {
        socket = webSocket
        if (opening.isCancelled) webSocket.cancel()
    }

    override fun onMessage(webSocket: WebSocket, text: String) = listener.onMessage(this, text)

    override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
        webSocket.close(NORMAL_CLOSURE, null)
        listener.onClosed(this)
    }

    override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) =
        listener.onBroken(this, t as? IOException ?: IOException(t))
}
