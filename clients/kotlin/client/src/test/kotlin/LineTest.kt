package parley.client

import java.io.IOException
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.serialization.json.jsonPrimitive
import okhttp3.OkHttpClient
import okhttp3.Request
import okio.ByteString
import okio.ByteString.Companion.toByteString

/** The line against a server that breaks off, repeats itself and refuses. */
class LineTest {
    private val gateway = ScriptedGateway()
    private val scope = CoroutineScope(Dispatchers.Default + Job())

    @AfterTest
    fun end() {
        scope.cancel()
        gateway.close()
    }

    private fun open(
        detection: TurnDetection = TurnDetection.SERVER,
        tools: Map<String, Tool> = emptyMap(),
        credential: Credential = Credential { null },
    ): Line = Gateway(gateway.url, credential).openLine(scope, "task_1", detection, tools = tools)

    private fun Line.collected(): Channel<Event> =
        Channel<Event>(Channel.UNLIMITED).also { scope.launch { events.collect(it::send) } }

    private suspend fun Line.until(wanted: Link) = link.first { it == wanted }

    private val String.frame: ByteString get() = toByteArray().toByteString()

    @Test
    fun `reports every event once and in order, over two sockets`() = test {
        val line = open()
        val events = line.collected()
        val first = gateway.readyLine()
        assertEquals("0", first.request.url.queryParameter("after"))
        first.event("reply_updated", 1, """{"turnId":1,"delta":"We "}""")
        assertEquals(ReplyUpdated(1, "We "), events.receive().data)
        first.breakOff()

        val second = gateway.readyLine(lastSequence = 2)
        assertEquals("1", second.request.url.queryParameter("after"))
        second.event("reply_updated", 1, """{"turnId":1,"delta":"We "}""")
        second.event("reply_updated", 2, """{"turnId":1,"delta":"open."}""")
        assertEquals(ReplyUpdated(1, "open."), events.receive().data)
        line.until(Link.CONNECTED)
        assertEquals(2, line.lastSequence)
    }

    @Test
    fun `asks again what a broken socket may have lost`() = test {
        val line = open()
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        val requestId = line.ask("When do you open?")
        first.received.receive()
        first.breakOff()

        val asked = gateway.readyLine().control()
        assertEquals("When do you open?", asked.getValue("text").jsonPrimitive.content)
        assertEquals(requestId, asked.getValue("requestId").jsonPrimitive.content)
    }

    @Test
    fun `asks nothing again that was taken`() = test {
        val line = open()
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        val requestId = line.ask("When do you open?")
        first.breakOff()

        val second = gateway.readyLine(lastSequence = 1)
        second.event("turn_started", 1, """{"turnId":1,"requestId":"$requestId"}""")
        line.until(Link.CONNECTED)
        line.interrupt()
        assertEquals("interrupt", second.type())
    }

    @Test
    fun `sends again what was said while the button was held`() = test {
        val line = open(TurnDetection.MANUAL)
        val events = line.collected()
        val first = gateway.readyLine()
        assertEquals("MANUAL", first.request.url.queryParameter("turnDetection"))
        line.until(Link.CONNECTED)
        line.sendAudio("when do".toByteArray())
        line.sendAudio("you open".toByteArray())
        line.commit()
        first.breakOff()

        val second = gateway.readyLine()
        assertEquals("when do".frame, second.received.receive())
        assertEquals("you open".frame, second.received.receive())
        assertEquals("commit", second.type())
        second.event("speech_ended", 1, """{"turnId":1,"offsetMs":40}""")
        events.receive()
        second.breakOff()

        val third = gateway.readyLine(lastSequence = 1)
        line.until(Link.CONNECTED)
        line.greet()
        assertEquals("greet", third.type())
    }

    @Test
    fun `sends what is held at a break with the rest of it`() = test {
        val line = open(TurnDetection.MANUAL)
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        line.sendAudio("when do".toByteArray())
        first.received.receive()
        first.breakOff()

        val second = gateway.readyLine()
        assertEquals("when do".frame, second.received.receive())
        line.sendAudio("you open".toByteArray())
        line.commit()
        assertEquals("you open".frame, second.received.receive())
        assertEquals("commit", second.type())
    }

    @Test
    fun `sends what was said before it is ready`() = test {
        val line = open()
        line.sendAudio("hello".toByteArray())
        assertEquals("hello".frame, gateway.readyLine().received.receive())
    }

    @Test
    fun `an interruption forgets what was asked`() = test {
        val line = open()
        line.ask("When do you open?")
        line.interrupt()
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        line.greet()
        assertEquals("greet", first.type())
    }

    @Test
    fun `a refusal ends it with the problem`() = test {
        val line = open()
        val first = gateway.lines.receive()
        first.send("""{"problem":{"status":404,"reason":"TASK_NOT_FOUND","detail":"There is no such task."}}""")
        first.close(4404)
        val problem = assertFailsWith<Problem> { line.events.toList() }
        assertEquals(404 to "TASK_NOT_FOUND", problem.status to problem.reason)
        line.until(Link.CLOSED)
        assertNull(gateway.lines.tryReceive().getOrNull())
    }

    @Test
    fun `a service that fails is asked again`() = test {
        val line = open()
        val first = gateway.lines.receive()
        first.send("""{"problem":{"status":503,"reason":"SERVICE_UNAVAILABLE","detail":"It is away."}}""")
        first.close(1011)
        gateway.readyLine()
        line.until(Link.CONNECTED)
    }

    @Test
    fun `a gateway that shuts down is looked for again`() = test {
        val line = open()
        gateway.readyLine().close(1001)
        gateway.readyLine()
        line.until(Link.CONNECTED)
    }

    @Test
    fun `a socket that is never ready is given up`() = test {
        val address = gateway.server.url("/talk")
        Line(scope, OkHttpClient(), TurnDetection.SERVER, 0, emptyMap(), readyTime = 50.milliseconds) {
            Request.Builder().url(address).build()
        }
        gateway.lines.receive()
        gateway.lines.receive()
    }

    @Test
    fun `tells that speech is suspended, and that it goes on`() = test {
        val line = open()
        val first = gateway.readyLine()
        first.send("""{"event":"conversation_suspended","data":{}}""")
        line.until(Link.SUSPENDED)
        first.send("""{"event":"conversation_resumed","data":{}}""")
        line.until(Link.CONNECTED)
    }

    @Test
    fun `a function of the app is called once, and its result told until it is taken`() = test {
        val calls = Channel<String>(Channel.UNLIMITED)
        val show = Tool { arguments ->
            arguments.getValue("page").jsonPrimitive.content.also { calls.send(it) }
        }
        val line = open(tools = mapOf("show" to show))
        val events = line.collected()
        val called = """{"turnId":1,"callId":"c1","name":"show","arguments":"{\"page\":\"map\"}"}"""
        val first = gateway.readyLine()
        first.event("tool_called", 1, called)
        assertEquals("map", calls.receive())
        assertEquals("map", first.control().getValue("result").jsonPrimitive.content)
        first.breakOff()

        val second = gateway.readyLine(lastSequence = 1)
        assertEquals("c1", second.control().getValue("callId").jsonPrimitive.content)
        second.event(
            "turn_failed", 2,
            """{"turnId":1,"problem":{"status":503,"reason":"X","detail":"x"},"reply":"","heard":"",
                "toolCalls":[{"callId":"c1","name":"show","arguments":"{}","durationMs":1}]}""",
        )
        assertIs<ToolCalled>(events.receive().data)
        assertIs<TurnFailed>(events.receive().data)
        second.breakOff()

        // That turn's end only said that the function still ran.
        val third = gateway.readyLine(lastSequence = 2)
        assertEquals("c1", third.control().getValue("callId").jsonPrimitive.content)
        third.event(
            "turn_failed", 3,
            """{"turnId":2,"problem":{"status":503,"reason":"X","detail":"x"},"reply":"","heard":"",
                "toolCalls":[{"callId":"c1","name":"show","arguments":"{}","outcome":"SUCCEEDED","durationMs":1}]}""",
        )
        assertIs<TurnFailed>(events.receive().data)
        third.breakOff()
        val fourth = gateway.readyLine(lastSequence = 3)
        line.until(Link.CONNECTED)
        line.interrupt()
        assertEquals("interrupt", fourth.type())
        assertNull(calls.tryReceive().getOrNull())
    }

    @Test
    fun `a function is not called for a turn of the past`() = test {
        val calls = Channel<String>(Channel.UNLIMITED)
        val show = Tool { arguments -> arguments.getValue("page").jsonPrimitive.content.also { calls.send(it) } }
        open(tools = mapOf("show" to show))
        val gateway = gateway.readyLine(lastSequence = 3)
        gateway.event(
            "tool_called", 1,
            """{"turnId":1,"callId":"c1","name":"show","arguments":"{\"page\":\"past\"}"}""",
        )
        gateway.event(
            "turn_failed", 2,
            """{"turnId":1,"problem":{"status":503,"reason":"X","detail":"x"},"reply":"","heard":"",
                "toolCalls":[{"callId":"c1","name":"show","arguments":"{}","outcome":"SUCCEEDED","durationMs":1}]}""",
        )
        gateway.event(
            "tool_called", 3,
            """{"turnId":2,"callId":"c2","name":"show","arguments":"{\"page\":\"present\"}"}""",
        )
        assertEquals("present", calls.receive())
        assertEquals("c2", gateway.control().getValue("callId").jsonPrimitive.content)
    }

    @Test
    fun `a function that fails says why`() = test {
        open(tools = mapOf("show" to Tool { error("There is no such page.") }))
        val first = gateway.readyLine()
        first.event("tool_called", 1, """{"turnId":1,"callId":"c1","name":"show","arguments":"{}"}""")
        val answer = first.control()
        assertEquals("There is no such page.", answer.getValue("result").jsonPrimitive.content)
        assertEquals("true", answer.getValue("failed").jsonPrimitive.content)
    }

    @Test
    fun `every connection asks for a credential, and survives that it cannot be had`() = test {
        var asked = 0
        open(credential = { taskId ->
            assertEquals("task_1", taskId)
            asked += 1
            if (asked == 2) throw IOException("The app's server is away.")
            "ticket $asked"
        })
        val first = gateway.readyLine()
        assertEquals("Bearer ticket 1", first.request.headers["Authorization"])
        first.breakOff()
        assertEquals("Bearer ticket 3", gateway.readyLine().request.headers["Authorization"])
    }

    @Test
    fun `a credential that fails for good ends it`() = test {
        val line = open(credential = { error("Nobody is logged in.") })
        assertFailsWith<IllegalStateException> { line.events.toList() }
    }

    @Test
    fun `a user who leaves says so`() = test {
        val line = open()
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        assertTrue(line.leave())
        assertEquals("leave", first.type())
        assertEquals(1000, first.codes.receive())
        assertEquals(emptyList(), line.events.toList())
        assertEquals(false, line.leave())
    }

    @Test
    fun `ends with its scope`() = test {
        val line = open()
        val first = gateway.readyLine()
        line.until(Link.CONNECTED)
        scope.cancel()
        assertEquals(ServedLine.BROKEN, first.codes.receive())
        line.until(Link.CLOSED)
    }
}
