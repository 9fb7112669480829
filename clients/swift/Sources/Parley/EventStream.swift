import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Reads an answer that is an event stream. Its task tells from one queue of the session's own.
final class EventStream: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let continuation: AsyncThrowingStream<Event, any Error>.Continuation
    private var parser = EventParser()
    private var refusal: HTTPURLResponse?
    private var body = Data()

    private init(_ continuation: AsyncThrowingStream<Event, any Error>.Continuation) {
        self.continuation = continuation
    }

    /// The events of a stream. It ends as the stream does, and throws `Problem` or `Unreachable`.
    static func events(
        like configuration: URLSessionConfiguration,
        request: @escaping @Sendable () async throws -> URLRequest
    ) -> AsyncThrowingStream<Event, any Error> {
        AsyncThrowingStream { continuation in
            let session = URLSession(
                configuration: configuration, delegate: EventStream(continuation), delegateQueue: nil)
            continuation.onTermination = { _ in session.invalidateAndCancel() }
            Task {
                do {
                    session.dataTask(with: try await request()).resume()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        if let answer = response as? HTTPURLResponse, !(200..<300).contains(answer.statusCode) {
            refusal = answer
        }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        if refusal != nil {
            body.append(data)
            return
        }
        do {
            for event in try parser.feed(data) { continuation.yield(event) }
        } catch {
            continuation.finish(throwing: error)
        }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        if let error {
            continuation.finish(throwing: Unreachable(cause: error))
        } else if let refusal {
            continuation.finish(throwing: refusal.problem(body))
        } else {
            continuation.finish()
        }
    }
}

extension HTTPURLResponse {
    func problem(_ body: Data) -> Problem {
        Problem(status: statusCode, body: body, retryAfter: value(forHTTPHeaderField: "Retry-After"))
    }
}

/// Server-sent events, from bytes that are cut anywhere.
struct EventParser {
    private var pending = Data()

    /// Returns the events that are complete; throws the problem that a stream ends with.
    mutating func feed(_ data: Data) throws -> [Event] {
        pending.append(data)
        var events: [Event] = []
        while let end = pending.range(of: Data("\n\n".utf8)) {
            let block = String(decoding: pending[pending.startIndex..<end.lowerBound], as: UTF8.self)
            pending = Data(pending[end.upperBound...])
            if let event = try parse(block) { events.append(event) }
        }
        return events
    }

    private func parse(_ block: String) throws -> Event? {
        var fields: [String: String] = [:]
        for line in block.split(separator: "\n") {
            let parts = line.components(separatedBy: ": ")
            if parts.count > 1 { fields[parts[0]] = parts.dropFirst().joined(separator: ": ") }
        }
        guard let name = fields["event"], let data = fields["data"] else { return nil }
        if name == "problem" {
            throw Problem(try JSONDecoder().decode(ProblemBody.self, from: Data(data.utf8)))
        }
        let sequence = fields["id"].flatMap { Int($0) }.map { "\"sequence\": \($0), " } ?? ""
        let message = "{\"event\": \"\(name)\", \(sequence)\"data\": \(data)}"
        return try JSONDecoder().decode(Event.self, from: Data(message.utf8))
    }
}
