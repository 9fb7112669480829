package parley.sample

import java.util.UUID
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import parley.client.Event
import parley.client.Gateway
import parley.client.Line
import parley.client.Link
import parley.client.TaskOrder

/** Whoever shows a call. */
internal interface CallView {
    fun showEvent(event: Event)

    fun showLink(link: Link)

    /** The line is open: it may be interrupted, and told that the network is back. */
    fun connected(line: Line)
}

/**
 * Talks with a digital human until the call ends; fails with its problem. Cancelling hangs up.
 *
 * @param sound what the user says: 16-bit samples, mono, 16 kHz.
 */
internal suspend fun call(gateway: Gateway, sound: Flow<ByteArray>, view: CallView): Unit = coroutineScope {
    val id = UUID.randomUUID()
    val task = gateway.createTask(TaskOrder(roomId = "room_$id", streamId = "stream_$id"))
    val line = gateway.openLine(this, task.taskId)
    try {
        view.connected(line)
        launch { line.link.collect(view::showLink) }
        launch { sound.collect(line::sendAudio) }
        line.events.collect(view::showEvent)
    } finally {
        line.close()
        withContext(NonCancellable) { gateway.stopTask(task.taskId) }
    }
}
