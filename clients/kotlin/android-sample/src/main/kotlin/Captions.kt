package parley.sample

import parley.client.Event
import parley.client.ReplyUpdated
import parley.client.TranscriptUpdated
import parley.client.TurnFailed
import parley.client.TurnFinished
import parley.client.TurnStarted

/** What the user said last, and what the digital human answers. */
internal data class Captions(val question: String = "", val reply: String = "") {
    /** The captions after an event. */
    fun after(event: Event): Captions = when (val data = event.data) {
        is TranscriptUpdated -> Captions(question = data.text)
        is TurnStarted -> Captions(question = data.transcript ?: question)
        is ReplyUpdated -> copy(reply = reply + data.delta)
        // Of an interrupted reply, what was heard.
        is TurnFinished -> copy(reply = data.heard)
        is TurnFailed -> copy(reply = data.problem.detail)
        else -> this
    }
}
