import Foundation

/// The gateway refused a call, or reported a failure. Go by `reason`; docs/errors.md lists them all.
public struct Problem: Error, Equatable, Sendable {
    /// The HTTP status.
    public let status: Int
    public let reason: String
    /// What happened, in words.
    public let detail: String
    /// Names the call in the logs of the gateway.
    public let requestId: String?
    /// The fields that break a rule.
    public let violations: [Violation]
    /// Seconds to wait before the next try, where that helps.
    public let retryAfter: TimeInterval?

    init(_ body: ProblemBody, retryAfter: TimeInterval? = nil) {
        status = body.status
        reason = body.reason
        detail = body.detail
        requestId = body.requestId
        violations = body.violations ?? []
        self.retryAfter = retryAfter
    }

    /// The problem that an answer is; whatever stands between may refuse in words of its own.
    init(status: Int, body: Data, retryAfter: String?) {
        let unknown = ProblemBody(status: status, reason: "INTERNAL", detail: "HTTP \(status)")
        let told = try? JSONDecoder().decode(ProblemBody.self, from: body)
        self.init(told ?? unknown, retryAfter: retryAfter.flatMap(TimeInterval.init))
    }
}

/// The gateway does not answer, or not in time.
public struct Unreachable: Error, Sendable {
    public let cause: any Error
}

/// A field that breaks a rule.
public struct Violation: Codable, Equatable, Sendable {
    public let field: String
    public let rule: String
    public let description: String
}

/// A problem as it is sent (RFC 9457).
public struct ProblemBody: Codable, Equatable, Sendable {
    public let status: Int
    public let reason: String
    public let detail: String
    public var requestId: String?
    public var violations: [Violation]?
}
