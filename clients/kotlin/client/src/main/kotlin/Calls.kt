package parley.client

import java.io.IOException
import java.util.concurrent.TimeUnit
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlin.time.Duration
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.JsonObject
import okhttp3.Call
import okhttp3.Callback
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.sse.EventSource
import okhttp3.sse.EventSourceListener
import okhttp3.sse.EventSources

private const val NO_CONTENT = 204

/** The text of the answer; cancelling the coroutine cancels the call. */
internal suspend fun OkHttpClient.send(request: Request, timeout: Duration): String {
    val call = newCall(request)
    call.timeout().timeout(timeout.inWholeMilliseconds, TimeUnit.MILLISECONDS)
    return suspendCancellableCoroutine { waiting ->
        waiting.invokeOnCancellation { call.cancel() }
        call.enqueue(
            object : Callback {
                override fun onFailure(call: Call, e: IOException) =
                    waiting.resumeWithException(Unreachable(e))

                override fun onResponse(call: Call, response: Response) {
                    val answer = runCatching {
                        response.use { if (it.isSuccessful) it.body.string() else throw it.toProblem() }
                    }
                    answer.fold(waiting::resume) {
                        waiting.resumeWithException(if (it is IOException) Unreachable(it) else it)
                    }
                }
            },
        )
    }
}

/** The events of a stream. It ends as the stream does, and fails with [Problem] or [Unreachable]. */
internal fun OkHttpClient.events(request: suspend () -> Request): Flow<Event> = callbackFlow {
    val listener = object : EventSourceListener() {
        override fun onEvent(eventSource: EventSource, id: String?, type: String?, data: String) {
            try {
                if (type == "problem") throw wire.decodeFromString<ProblemBody>(data).toProblem()
                trySend(Event.read(type.orEmpty(), id?.toLongOrNull(), wire.decodeFromString<JsonObject>(data)))
            } catch (e: Problem) {
                close(e)
            } catch (e: SerializationException) {
                close(e)
            }
        }

        override fun onClosed(eventSource: EventSource) {
            close()
        }

        override fun onFailure(eventSource: EventSource, t: Throwable?, response: Response?) {
            when {
                // A task that is over, with nothing new.
                response?.code == NO_CONTENT -> close()
                response != null && !response.isSuccessful -> close(response.toProblem())
                else -> close(Unreachable(t as? IOException ?: IOException(t)))
            }
        }
    }
    val source = EventSources.createFactory(this@events).newEventSource(request(), listener)
    awaitClose { source.cancel() }
}.buffer(Channel.UNLIMITED)
