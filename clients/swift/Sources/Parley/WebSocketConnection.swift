import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// One connection of a line. It tells what comes of it to whoever opened it.
protocol LineConnection: AnyObject {
    /// Bytes that the network has not taken yet.
    var unsentBytes: Int { get }
    func send(_ text: String)
    func send(_ frame: Data)
    /// Closes it once all that was sent is on its way.
    func close()
    /// Closes it at once.
    func cancel()
}

enum LineSignal {
    case message(String)
    /// It is over.
    case closed
    /// It never came to be.
    case failed(any Error)
}

private let pingInterval: UInt64 = 10_000_000_000

/// A connection by the system's own WebSocket.
final class WebSocketConnection: LineConnection, @unchecked Sendable {
    private let outgoing: AsyncStream<URLSessionWebSocketTask.Message>
    private let sending: AsyncStream<URLSessionWebSocketTask.Message>.Continuation
    private let lock = NSLock()
    private var unsent = 0
    private var life: Task<Void, Never>?

    init(
        session: URLSession, tell: @escaping @Sendable (LineSignal) -> Void,
        request: @escaping @Sendable () async throws -> URLRequest
    ) {
        var continuation: AsyncStream<URLSessionWebSocketTask.Message>.Continuation?
        outgoing = AsyncStream { continuation = $0 }
        // The stream hands its continuation out before it is made.
        sending = continuation!
        life = Task {
            let asked: URLRequest
            do {
                asked = try await request()
            } catch {
                return tell(.failed(error))
            }
            await self.run(session.webSocketTask(with: asked), tell)
        }
    }

    var unsentBytes: Int { lock.withLock { unsent } }

    func send(_ text: String) {
        lock.withLock { unsent += text.utf8.count }
        sending.yield(.string(text))
    }

    func send(_ frame: Data) {
        lock.withLock { unsent += frame.count }
        sending.yield(.data(frame))
    }

    func close() {
        sending.finish()
    }

    func cancel() {
        life?.cancel()
    }

    private func run(_ socket: URLSessionWebSocketTask, _ tell: @escaping @Sendable (LineSignal) -> Void) async {
        await withTaskCancellationHandler {
            socket.resume()
            let others = [Task { await self.sendAll(socket) }, Task { await self.keepAlive(socket) }]
            do {
                while true {
                    if case .string(let text) = try await socket.receive() { tell(.message(text)) }
                }
            } catch {
                tell(.closed)
            }
            for other in others { other.cancel() }
            socket.cancel()
        } onCancel: {
            socket.cancel()
        }
    }

    private func sendAll(_ socket: URLSessionWebSocketTask) async {
        for await message in outgoing {
            // That it could not be sent is told by what is received.
            try? await socket.send(message)
            lock.withLock { unsent -= message.bytes }
        }
        if !Task.isCancelled { socket.cancel(with: .normalClosure, reason: nil) }
    }

    /// Closes a connection whose peer answers no ping until the next one is due.
    private func keepAlive(_ socket: URLSessionWebSocketTask) async {
        let answered = Answered()
        while (try? await Task.sleep(nanoseconds: pingInterval)) != nil {
            guard answered.take() else { return socket.cancel() }
            socket.sendPing { error in
                if error == nil { answered.note() }
            }
        }
    }
}

/// Whether the last ping was answered.
private final class Answered: @unchecked Sendable {
    private let lock = NSLock()
    private var isAnswered = true

    func note() { lock.withLock { isAnswered = true } }

    func take() -> Bool {
        lock.withLock {
            defer { isAnswered = false }
            return isAnswered
        }
    }
}

extension URLSessionWebSocketTask.Message {
    fileprivate var bytes: Int {
        switch self {
        case .string(let text): return text.utf8.count
        case .data(let data): return data.count
        @unknown default: return 0
        }
    }
}
