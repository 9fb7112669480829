import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

private let answerTime: TimeInterval = 20
/// The gateway sends something more often than this.
private let silence: TimeInterval = 45

/// A gateway of Parley. Calls throw `Problem` when it refuses, and `Unreachable` when it does not
/// answer, or not in time.
public final class Gateway: @unchecked Sendable {
    /// What an app shows the gateway, by the task that it is for (`nil` where none is made yet, or none
    /// is meant): a ticket, a user's token; `nil` where the gateway is open. It is called before every
    /// request and every connection, so that it may fetch a ticket from a server of the app's own, and
    /// keep it for as long as it is good. An app must not contain an API key. A `URLError` means that
    /// another try may help.
    public typealias Credential = @Sendable (_ taskId: String?) async throws -> String?

    /// Longer than the gateway waits for a digital human to go on air.
    public static let createTime: TimeInterval = 90
    /// An answer comes once it is spoken.
    public static let talkTime: TimeInterval = 180

    private let base: URL
    private let credential: Credential
    private let session: URLSession

    public init(baseURL: URL, credential: @escaping Credential = { _ in nil }, session: URLSession = .shared) {
        base = baseURL
        self.credential = credential
        self.session = session
    }

    /// Personas, languages, and whether credentials are asked for.
    public func config() async throws -> Config {
        try await answer(to: request("api/config", for: answerTime))
    }

    /// Puts a digital human on air; returns once it is.
    ///
    /// - Parameter idempotencyKey: makes it safe to repeat a call that got no answer: it gives the
    ///   same task.
    public func createTask(
        _ order: TaskOrder, idempotencyKey: String? = nil, timeout: TimeInterval = Gateway.createTime
    ) async throws -> DigitalHumanTask {
        var request = try await post("create-task", of: nil, order, for: timeout)
        request.setValue(idempotencyKey, forHTTPHeaderField: "Idempotency-Key")
        return try await answer(to: request)
    }

    public func task(_ taskId: String) async throws -> DigitalHumanTask {
        try await answer(to: request("api/digital-human/tasks/\(taskId)", of: taskId, for: answerTime))
    }

    /// What happens to a task and its conversation, from now on or after a position, until it is over.
    public func watch(_ taskId: String, after: Int? = nil) -> AsyncThrowingStream<Event, any Error> {
        EventStream.events(like: session.configuration) { [self] in
            let query = after.map { ["after": String($0)] } ?? [:]
            let path = "api/digital-human/tasks/\(taskId)/events"
            return streaming(try await request(path, of: taskId, query: query, for: silence))
        }
    }

    /// Takes the digital human off air; repeating it is a success.
    @discardableResult
    public func stopTask(_ taskId: String) async throws -> DigitalHumanTask {
        try await answer(to: post("stop-task", of: taskId, TaskBody(taskId: taskId), for: answerTime))
    }

    /// A viewer's token for a room and a stream in it, and where to watch.
    public func token(userId: String, roomId: String, streamId: String) async throws -> ViewerToken {
        let query = ["userId": userId, "roomId": roomId, "streamId": streamId]
        return try await answer(to: request("api/token", query: query, for: answerTime))
    }

    /// Asks, and returns once the reply has been spoken.
    public func ask(
        _ taskId: String, _ question: Question, lang: String? = nil, timeout: TimeInterval = Gateway.talkTime
    ) async throws -> Answer {
        try await answer(to: asking(taskId, question, lang, for: timeout))
    }

    /// Asks, and reports the turn as it happens, until it is over.
    ///
    /// The turn goes on when the loop over it ends; `interrupt` ends it.
    public func talk(
        _ taskId: String, _ question: Question, lang: String? = nil
    ) -> AsyncThrowingStream<Event, any Error> {
        EventStream.events(like: session.configuration) { [self] in
            streaming(try await asking(taskId, question, lang, for: silence))
        }
    }

    /// Has it say its greeting, unless something was asked or said.
    public func greet(_ taskId: String) async throws {
        _ = try await send(post("greet", of: taskId, TaskBody(taskId: taskId), for: answerTime))
    }

    /// Cuts off what it says; with nothing to cut off it is a success.
    public func interrupt(_ taskId: String) async throws {
        _ = try await send(post("interrupt", of: taskId, TaskBody(taskId: taskId), for: answerTime))
    }

    /// Tells what a function of the app returned, or with `failed` why it did not.
    public func answerTool(_ taskId: String, callId: String, result: String, failed: Bool = false) async throws {
        let body = ToolResultBody(taskId: taskId, callId: callId, result: result, failed: failed)
        _ = try await send(post("tool-result", of: taskId, body, for: answerTime))
    }

    /// Opens a line, which lives until it is closed or refused.
    ///
    /// - Parameters:
    ///   - after: the last event that the app has; the ones after it come first.
    ///   - tools: functions of the app by name, called when the model calls them.
    public func openLine(
        _ taskId: String, detection: TurnDetection = .server, after: Int = 0, tools: [String: Tool] = [:]
    ) -> Line {
        let opened = Line(detection: detection, after: after, tools: tools) { [self] position, tell in
            WebSocketConnection(session: session, tell: tell) { [self] in
                let query = [
                    "taskId": taskId, "turnDetection": detection.rawValue, "after": String(position),
                ]
                var request = try await request("api/digital-human/talk", of: taskId, query: query, for: silence)
                request.url = request.url.flatMap(inWebSocket)
                #if canImport(FoundationNetworking)
                // Linux's asks to keep the connection alive instead, which gateways take for no upgrade.
                request.setValue("Upgrade", forHTTPHeaderField: "Connection")
                #endif
                return request
            }
        }
        opened.open()
        return opened
    }

    private func asking(
        _ taskId: String, _ question: Question, _ lang: String?, for timeout: TimeInterval
    ) async throws -> URLRequest {
        switch question {
        case .written(let text):
            return try await post(
                "talk-to-ai", of: taskId, AskBody(taskId: taskId, text: text, lang: lang), for: timeout)
        case .spoken(let recording, let contentType):
            var query = ["taskId": taskId]
            query["lang"] = lang
            var asked = try await request("api/digital-human/talk-to-ai", of: taskId, query: query, for: timeout)
            asked.httpMethod = "POST"
            asked.httpBody = recording
            asked.setValue(contentType, forHTTPHeaderField: "Content-Type")
            return asked
        }
    }

    private func streaming(_ request: URLRequest) -> URLRequest {
        var streaming = request
        streaming.setValue("text/event-stream", forHTTPHeaderField: "Accept")
        return streaming
    }

    private func post(
        _ call: String, of taskId: String?, _ body: some Encodable, for timeout: TimeInterval
    ) async throws -> URLRequest {
        var posted = try await request("api/digital-human/\(call)", of: taskId, for: timeout)
        posted.httpMethod = "POST"
        posted.httpBody = try JSONEncoder().encode(body)
        posted.setValue("application/json", forHTTPHeaderField: "Content-Type")
        return posted
    }

    private func request(
        _ path: String, of taskId: String? = nil, query: [String: String] = [:], for timeout: TimeInterval
    ) async throws -> URLRequest {
        var address = URLComponents(url: base.appendingPathComponent(path), resolvingAgainstBaseURL: true)
        if !query.isEmpty { address?.queryItems = query.map(URLQueryItem.init) }
        guard let url = address?.url else { throw URLError(.badURL) }
        var request = URLRequest(url: url, timeoutInterval: timeout)
        if let shown = try await credential(taskId) {
            request.setValue("Bearer \(shown)", forHTTPHeaderField: "Authorization")
        }
        return request
    }

    private func answer<A: Decodable>(to request: URLRequest) async throws -> A {
        try JSONDecoder().decode(A.self, from: try await send(request))
    }

    private func send(_ request: URLRequest) async throws -> Data {
        let (body, response): (Data, URLResponse)
        do {
            (body, response) = try await session.data(for: request)
        } catch let error as URLError where error.code != .cancelled {
            throw Unreachable(cause: error)
        }
        if let answer = response as? HTTPURLResponse, !(200..<300).contains(answer.statusCode) {
            throw answer.problem(body)
        }
        return body
    }
}

private func inWebSocket(_ url: URL) -> URL? {
    var address = URLComponents(url: url, resolvingAgainstBaseURL: true)
    address?.scheme = url.scheme == "https" ? "wss" : "ws"
    return address?.url
}

private struct TaskBody: Encodable {
    let taskId: String
}

private struct AskBody: Encodable {
    let taskId: String
    let text: String
    let lang: String?
}

private struct ToolResultBody: Encodable {
    let taskId: String
    let callId: String
    let result: String
    let failed: Bool
}
