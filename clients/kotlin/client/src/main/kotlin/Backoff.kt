package parley.client

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

private val FIRST = 0.5.seconds
private val LONGEST = 5.seconds
private const val MOST_DOUBLINGS = 8

/**
 * How long to wait before the next try: exponential from zero on, with jitter so that clients that
 * were cut off together do not return together.
 */
internal fun backoff(failures: Int): Duration {
    if (failures == 0) return Duration.ZERO
    val pause = FIRST * (1 shl (failures - 1).coerceAtMost(MOST_DOUBLINGS))
    return pause.coerceAtMost(LONGEST) * Random.nextDouble(0.75, 1.25)
}
