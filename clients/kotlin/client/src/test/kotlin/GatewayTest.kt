package parley.client

import java.util.concurrent.TimeUnit
import kotlin.test.AfterTest
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.toList
import mockwebserver3.MockResponse
import mockwebserver3.MockWebServer

private const val TASK =
    """{"success":true,"taskId":"task_1","state":"STREAMING","roomId":"room_1","streamId":"stream_1","maxIdleSeconds":9}"""

class GatewayTest {
    private val server = MockWebServer()

    @BeforeTest
    fun start() = server.start()

    @AfterTest
    fun end() = server.close()

    private fun gateway(credential: Credential = Credential { null }) = Gateway(server.url("/").toString(), credential)

    private fun answer(code: Int, body: String, vararg headers: Pair<String, String>) {
        val response = MockResponse.Builder().code(code).body(body)
        headers.forEach { (name, value) -> response.setHeader(name, value) }
        server.enqueue(response.build())
    }

    private fun stream(body: String) = answer(200, body, "Content-Type" to "text/event-stream")

    @Test
    fun `a task is ordered with what is set, and nothing else`() = test {
        answer(200, TASK)
        val task = gateway { "key" }.createTask(TaskOrder("room_1", "stream_1", lang = "en"), idempotencyKey = "k1")
        assertEquals("STREAMING", task.state)
        val request = server.takeRequest()
        assertEquals("/api/digital-human/create-task", request.target)
        assertEquals("Bearer key", request.headers["Authorization"])
        assertEquals("k1", request.headers["Idempotency-Key"])
        assertEquals(
            """{"roomId":"room_1","streamId":"stream_1","lang":"en","maxAbsenceSeconds":60}""",
            request.body!!.utf8(),
        )
    }

    @Test
    fun `a credential is asked for by task`() = test {
        repeat(2) { answer(200, TASK) }
        val gateway = gateway { taskId -> "ticket of $taskId" }
        gateway.createTask(TaskOrder("room_1", "stream_1"))
        gateway.stopTask("task_1")
        val shown = List(2) { server.takeRequest().headers["Authorization"] }
        assertEquals(listOf<String?>("Bearer ticket of null", "Bearer ticket of task_1"), shown)
    }

    @Test
    fun `a refusal is a problem with all that it says`() = test {
        answer(
            429,
            """{"type":"urn:x","title":"x","status":429,"reason":"RATE_LIMITED","detail":"Too many.","requestId":"r1",
                "violations":[{"field":"roomId","rule":"string.max_bytes","description":"too long"}],"metadata":{"a":"b"}}""",
            "Content-Type" to "application/problem+json",
            "Retry-After" to "7",
        )
        val problem = assertFailsWith<Problem> { gateway().task("task_1") }
        assertEquals("RATE_LIMITED", problem.reason)
        assertEquals("r1", problem.requestId)
        assertEquals(7.seconds, problem.retryAfter)
        assertEquals(listOf(Violation("roomId", "string.max_bytes", "too long")), problem.violations)
    }

    @Test
    fun `a proxy's refusal is a problem too`() = test {
        answer(502, "<html>Bad gateway</html>")
        val problem = assertFailsWith<Problem> { gateway().task("task_1") }
        assertEquals(502 to "INTERNAL", problem.status to problem.reason)
    }

    @Test
    fun `an answer that does not come in time is unreachable`() = test {
        server.enqueue(MockResponse.Builder().body(TASK).headersDelay(1, TimeUnit.HOURS).build())
        assertFailsWith<Unreachable> {
            gateway().createTask(TaskOrder("room_1", "stream_1"), timeout = 50.milliseconds)
        }
    }

    @Test
    fun `a gateway that is not there is unreachable`() = test {
        val gateway = gateway()
        server.close()
        assertFailsWith<Unreachable> { gateway.config() }
        assertFailsWith<Unreachable> { gateway.watch("task_1").toList() }
    }

    @Test
    fun `a recording is sent as it is`() = test {
        answer(200, """{"success":true,"message":"done","turnId":1,"reply":"At nine.","heard":"At"}""")
        val spoken = Question.Spoken("RIFF".toByteArray(), "audio/wav")
        val told = gateway().ask("task_1", spoken, lang = "en")
        assertEquals("At", told.heard)
        val request = server.takeRequest()
        assertEquals("/api/digital-human/talk-to-ai?taskId=task_1&lang=en", request.target)
        assertEquals("audio/wav", request.headers["Content-Type"])
        assertEquals("RIFF", request.body!!.utf8())
    }

    @Test
    fun `a turn is reported as it happens`() = test {
        stream(
            "event: ready\ndata: {\"lastSequence\":0}\n\n: still here\n\n" +
                "id: 1\nevent: reply_updated\ndata: {\"turnId\":1,\"delta\":\"At nine.\"}\n\n" +
                "id: 2\nevent: of_tomorrow\ndata: {\"turnId\":1}\n\n",
        )
        val events = gateway().talk("task_1", Question.Written("When?")).toList()
        assertEquals(listOf(null, 1L, 2L), events.map { it.sequence })
        assertEquals(ReplyUpdated(1, "At nine."), events[1].data)
        assertIs<Unknown>(events[2].data)
        assertEquals("text/event-stream", server.takeRequest().headers["Accept"])
    }

    @Test
    fun `a stream that fails says why`() = test {
        stream("event: problem\ndata: {\"status\":503,\"reason\":\"DRAINING\",\"detail\":\"It goes down.\"}\n\n")
        val problem = assertFailsWith<Problem> { gateway().talk("task_1", Question.Written("When?")).toList() }
        assertEquals("DRAINING", problem.reason)
    }

    @Test
    fun `a stream that is refused says why`() = test {
        answer(404, """{"status":404,"reason":"TASK_NOT_FOUND","detail":"There is no such task."}""")
        val problem = assertFailsWith<Problem> { gateway().watch("task_1").toList() }
        assertEquals("TASK_NOT_FOUND", problem.reason)
    }

    @Test
    fun `a task that is over has nothing more to tell`() = test {
        answer(204, "")
        assertEquals(emptyList(), gateway().watch("task_1", after = 9).toList())
        assertEquals("9", server.takeRequest().url.queryParameter("after"))
    }

    @Test
    fun `a viewer's token says where to watch`() = test {
        answer(
            200,
            """{"success":true,"token":"04x","expiresAt":"2026-01-31T12:10:00Z","appId":1234567890,
                "playback":{"protocol":"WHEP"}}""",
        )
        val token = gateway().token("ada", "room 1", "stream_1")
        assertEquals("WHEP", token.playback.protocol)
        assertNull(token.playback.url)
        assertEquals("room 1", server.takeRequest().url.queryParameter("roomId"))
    }
}
