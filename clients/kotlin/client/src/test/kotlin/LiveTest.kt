package parley.client

import java.io.File
import javax.sound.sampled.AudioSystem
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.toList
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import org.junit.jupiter.api.Tag

/** 20 ms of 16-bit samples at 16 kHz. */
private const val FRAME_BYTES = 640

private fun variable(name: String): String = checkNotNull(System.getenv(name)) { "$name must be set." }

/** A running gateway, whose address and key are in the environment. */
@Tag("live")
class LiveTest {
    private val gateway = Gateway(variable("PARLEY_URL"), { variable("PARLEY_KEY") })
    private val wav = File(variable("PARLEY_WAV"))
    private val question = variable("PARLEY_QUESTION")
    private val answer = variable("PARLEY_ANSWER")
    private val scope = CoroutineScope(Dispatchers.Default + Job())

    @AfterTest
    fun end() = scope.cancel()

    private fun order(): TaskOrder = newId().let {
        TaskOrder("room-$it", "stream-$it", personaId = variable("PARLEY_PERSONA"), lang = "en", greeting = "")
    }

    private suspend fun onAir(body: suspend (Task) -> Unit) {
        val task = gateway.createTask(order())
        assertEquals("STREAMING", task.state)
        body(task)
        assertEquals("STOPPED", gateway.stopTask(task.taskId).state)
    }

    @Test
    fun `a spoken question is answered over the line, which ends with the task`() = test {
        onAir { task ->
            val token = gateway.token("ada", task.roomId, task.streamId)
            assertEquals("WHEP", token.playback.protocol)
            val line = gateway.openLine(scope, task.taskId, TurnDetection.MANUAL)
            val events = line.collected()
            val sound = AudioSystem.getAudioInputStream(wav).readAllBytes()
            for (start in sound.indices step FRAME_BYTES) {
                line.sendAudio(sound.copyOfRange(start, minOf(start + FRAME_BYTES, sound.size)))
            }
            line.commit()

            val turn = events.until<TurnStarted>()
            assertEquals("SPEECH", turn.origin)
            assertSpoken(turn.transcript)
            assertEquals(answer, events.until<TurnFinished>().heard)
            gateway.stopTask(task.taskId)
            assertEquals("TASK_ENDED", assertFailsWith<Problem> { events.toList() }.reason)
        }
    }

    @Test
    fun `a recording is answered, at once and by events`() = test {
        onAir { task ->
            val recording = Question.Spoken(wav.readBytes(), "audio/wav")
            val told = gateway.ask(task.taskId, recording)
            assertSpoken(told.transcript)
            assertEquals(answer, told.heard)
            val events = gateway.talk(task.taskId, Question.Written(question)).toList().map { it.data }
            assertIs<Ready>(events.first())
            assertEquals(answer, assertIs<TurnFinished>(events.last()).heard)
        }
    }

    @Test
    fun `a task that nobody knows is refused`() = test {
        val unknown = "task_00000000000000000000000000"
        val asked = assertFailsWith<Problem> { gateway.ask(unknown, Question.Written(question)) }
        val opened = assertFailsWith<Problem> { gateway.openLine(scope, unknown).events.toList() }
        for (problem in listOf(asked, opened)) assertEquals(404 to "TASK_NOT_FOUND", problem.status to problem.reason)
    }

    @Test
    fun `a wrong key is refused`() = test {
        val stranger = Gateway(variable("PARLEY_URL"), { "a-key-that-nobody-made" })
        val created = assertFailsWith<Problem> { stranger.createTask(order()) }
        val opened = assertFailsWith<Problem> { stranger.openLine(scope, "task_1").events.toList() }
        for (problem in listOf(created, opened)) {
            assertEquals(401 to "CREDENTIALS_INVALID", problem.status to problem.reason)
        }
    }

    @Test
    fun `an answer that takes longer than the app waits is given up`() = test {
        onAir { task ->
            assertFailsWith<Unreachable> {
                gateway.ask(task.taskId, Question.Written(question), timeout = 1.milliseconds)
            }
        }
    }

    @Test
    fun `a gateway that is started anew during a reply costs no event`() = test {
        onAir { task ->
            val line = gateway.openLine(scope, task.taskId)
            val events = line.collected()
            line.link.first { it == Link.CONNECTED }
            val broken = scope.launch { line.link.first { it == Link.BROKEN } }
            val requestId = line.ask(question)
            assertEquals(requestId, events.until<TurnStarted>().requestId)
            val restart = Request.Builder().url(variable("PARLEY_RESTART_URL")).post(byteArrayOf().toRequestBody())
            OkHttpClient().send(restart.build(), PATIENCE)
            broken.join()

            assertEquals(answer, events.until<TurnFinished>().heard)
            line.link.first { it == Link.CONNECTED }
            line.ask(question)
            assertEquals(answer, events.until<TurnFinished>().heard)
            line.close()
        }
    }

    private fun Line.collected(): Channel<Event> {
        val collected = Channel<Event>(Channel.UNLIMITED)
        scope.launch {
            try {
                events.collect(collected::send)
                collected.close()
            } catch (e: Problem) {
                collected.close(e)
            }
        }
        return collected
    }

    private suspend inline fun <reified D : EventData> Channel<Event>.until(): D {
        for (event in this) (event.data as? D)?.let { return it }
        error("The line ended before ${D::class.simpleName}.")
    }

    /** Recognition may write numbers otherwise. */
    private fun assertSpoken(transcript: String?) = assertContains(transcript.orEmpty().lowercase(), "order number")
}
