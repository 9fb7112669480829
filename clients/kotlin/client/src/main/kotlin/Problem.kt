package parley.client

import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import okhttp3.Response

/**
 * The gateway refused a call, or reported a failure.
 *
 * Go by [reason]; docs/errors.md lists them all.
 *
 * @property status the HTTP status.
 * @property detail what happened, in words.
 * @property requestId names the call in the logs of the gateway.
 * @property violations the fields that break a rule.
 * @property retryAfter how long to wait before the next try, where that helps.
 */
public class Problem internal constructor(
    public val status: Int,
    public val reason: String,
    public val detail: String,
    public val requestId: String? = null,
    public val violations: List<Violation> = emptyList(),
    public val metadata: Map<String, String> = emptyMap(),
    public val retryAfter: Duration? = null,
) : Exception("$reason: $detail")

/** The gateway does not answer, or not in time. */
public class Unreachable internal constructor(cause: IOException) :
    IOException("The gateway does not answer.", cause)

/** A field that breaks a rule. */
@Serializable
public data class Violation(
    public val field: String,
    public val rule: String,
    public val description: String,
)

/** A problem as it is sent (RFC 9457). */
@Serializable
public data class ProblemBody(
    public val status: Int,
    public val reason: String,
    public val detail: String,
    public val requestId: String? = null,
    public val violations: List<Violation> = emptyList(),
    public val metadata: Map<String, String> = emptyMap(),
)

internal fun ProblemBody.toProblem(retryAfter: Duration? = null) =
    Problem(status, reason, detail, requestId, violations, metadata, retryAfter)

/** The problem that a refusal is; whatever stands between may refuse in words of its own. */
internal fun Response.toProblem(): Problem {
    val retryAfter = header("Retry-After")?.toLongOrNull()?.seconds
    val text = body.string()
    return try {
        wire.decodeFromString<ProblemBody>(text).toProblem(retryAfter)
    } catch (_: SerializationException) {
        Problem(code, "INTERNAL", message.ifEmpty { "HTTP $code" }, retryAfter = retryAfter)
    }
}
