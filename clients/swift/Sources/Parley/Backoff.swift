import Foundation

private let first: TimeInterval = 0.5
private let longest: TimeInterval = 5
private let mostDoublings = 8

/// How long to wait before the next try: exponential from zero on, with jitter so that clients that
/// were cut off together do not return together.
func backoff(failures: Int) -> TimeInterval {
    if failures == 0 { return 0 }
    let pause = first * TimeInterval(1 << min(failures - 1, mostDoublings))
    return min(longest, pause) * Double.random(in: 0.75...1.25)
}
