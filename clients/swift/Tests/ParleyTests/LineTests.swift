import Foundation
import XCTest

@testable import Parley

/// A connection whose other end the test holds.
final class ScriptedConnection: LineConnection, @unchecked Sendable {
    let after: Int
    private let tell: @Sendable (LineSignal) -> Void
    private let sent: AsyncStream<String>
    private let sending: AsyncStream<String>.Continuation
    private let lock = NSLock()
    private var ended = ""

    init(after: Int, tell: @escaping @Sendable (LineSignal) -> Void) {
        self.after = after
        self.tell = tell
        var continuation: AsyncStream<String>.Continuation?
        sent = AsyncStream { continuation = $0 }
        sending = continuation!
    }

    var unsentBytes: Int { 0 }
    var end: String { lock.withLock { ended } }

    func send(_ text: String) { sending.yield(text) }
    func send(_ frame: Data) { sending.yield(String(decoding: frame, as: UTF8.self)) }
    func close() { finish("closed") }
    func cancel() { finish("cancelled") }

    private func finish(_ how: String) {
        lock.withLock { ended = how }
        sending.finish()
    }

    func message(_ text: String) { tell(.message(text)) }
    func ready(_ last: Int = 0) { message(#"{"event":"ready","data":{"lastSequence":\#(last)}}"#) }
    func breakOff() { tell(.closed) }
    func event(_ name: String, _ sequence: Int, _ data: String) {
        message(#"{"event":"\#(name)","sequence":\#(sequence),"data":\#(data)}"#)
    }

    /// What the line sends next; `nil` when it has ended the connection.
    func next() async -> String? {
        var iterator = sent.makeAsyncIterator()
        return await iterator.next()
    }

    func control() async throws -> [String: Any] {
        let text = await next() ?? ""
        return try XCTUnwrap(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }
}

/// A line against connections that break off, repeat themselves and refuse.
final class LineTests: XCTestCase {
    private var opened: AsyncStream<ScriptedConnection>.Iterator!

    private func open(
        _ detection: TurnDetection = .server, tools: [String: Tool] = [:], readyTime: TimeInterval = 60
    ) -> Line {
        var continuation: AsyncStream<ScriptedConnection>.Continuation?
        opened = AsyncStream { continuation = $0 }.makeAsyncIterator()
        let connections = continuation!
        let line = Line(detection: detection, after: 0, tools: tools, readyTime: readyTime) { after, tell in
            let connection = ScriptedConnection(after: after, tell: tell)
            connections.yield(connection)
            return connection
        }
        line.open()
        return line
    }

    private func connection() async throws -> ScriptedConnection {
        let next = await opened.next()
        return try XCTUnwrap(next)
    }

    private func until(_ wanted: Link, _ line: Line) async {
        for await link in line.links where link == wanted { return }
    }

    func testReportsEveryEventOnceAndInOrderOverTwoConnections() async throws {
        let line = open()
        var events = line.events.makeAsyncIterator()
        let first = try await connection()
        XCTAssertEqual(first.after, 0)
        first.ready()
        first.event("reply_updated", 1, #"{"turnId":1,"delta":"We "}"#)
        let one = try await events.next()
        XCTAssertEqual(one?.data, .replyUpdated(ReplyUpdated(turnId: 1, delta: "We ")))
        first.breakOff()

        let second = try await connection()
        XCTAssertEqual(second.after, 1)
        second.ready(2)
        second.event("reply_updated", 1, #"{"turnId":1,"delta":"We "}"#)
        second.event("reply_updated", 2, #"{"turnId":1,"delta":"open."}"#)
        let two = try await events.next()
        XCTAssertEqual(two?.sequence, 2)
        XCTAssertEqual(line.lastSequence, 2)
    }

    func testAsksAgainWhatABrokenConnectionMayHaveLost() async throws {
        let line = open()
        let first = try await connection()
        first.ready()
        await until(.connected, line)
        let requestId = line.ask("When do you open?")
        _ = await first.next()
        first.breakOff()

        let second = try await connection()
        second.ready()
        let asked = try await second.control()
        XCTAssertEqual(asked["text"] as? String, "When do you open?")
        XCTAssertEqual(asked["requestId"] as? String, requestId)
    }

    func testAsksNothingAgainThatWasTaken() async throws {
        let line = open()
        let first = try await connection()
        first.ready()
        await until(.connected, line)
        let requestId = line.ask("When do you open?")
        _ = await first.next()
        first.breakOff()

        let second = try await connection()
        second.ready(1)
        second.event("turn_started", 1, #"{"turnId":1,"requestId":"\#(requestId)"}"#)
        await until(.connected, line)
        line.interrupt()
        let sent = try await second.control()
        XCTAssertEqual(sent["type"] as? String, "interrupt")
    }

    func testSendsAgainWhatWasSaidWhileTheButtonWasHeld() async throws {
        let line = open(.manual)
        let first = try await connection()
        first.ready()
        await until(.connected, line)
        line.sendAudio(Data("when".utf8))
        line.sendAudio(Data("open".utf8))
        line.commit()
        for _ in 0..<3 { _ = await first.next() }
        first.breakOff()

        let second = try await connection()
        second.ready()
        let sent = [await second.next(), await second.next(), await second.next()]
        XCTAssertEqual(sent, ["when", "open", #"{"type":"commit"}"#])
    }

    func testSendsWhatWasSaidBeforeItIsReady() async throws {
        let line = open()
        line.sendAudio(Data("hello".utf8))
        let first = try await connection()
        first.ready()
        let sent = await first.next()
        XCTAssertEqual(sent, "hello")
    }

    func testARefusalEndsItWithTheProblem() async throws {
        let line = open()
        let first = try await connection()
        first.message(#"{"problem":{"status":404,"reason":"TASK_NOT_FOUND","detail":"There is none."}}"#)
        first.breakOff()
        do {
            for try await _ in line.events {}
            XCTFail("It was not refused.")
        } catch let problem as Problem {
            XCTAssertEqual(problem.reason, "TASK_NOT_FOUND")
        }
        await until(.closed, line)
    }

    func testAServiceThatFailsIsAskedAgain() async throws {
        let line = open()
        let first = try await connection()
        first.message(#"{"problem":{"status":503,"reason":"DRAINING","detail":"It goes down."}}"#)
        first.breakOff()
        let second = try await connection()
        second.ready()
        await until(.connected, line)
    }

    func testAConnectionThatIsNeverReadyIsGivenUp() async throws {
        let line = open(readyTime: 0.05)
        let first = try await connection()
        let sent = await first.next()
        XCTAssertNil(sent)
        XCTAssertEqual(first.end, "cancelled")
        _ = try await connection()
        line.close()
    }

    func testAFunctionOfTheAppIsCalledOnceAndItsResultToldUntilItIsTaken() async throws {
        let line = open(tools: ["show": { $0 }])
        var events = line.events.makeAsyncIterator()
        let first = try await connection()
        first.ready()
        first.event("tool_called", 1, #"{"turnId":1,"callId":"c1","name":"show","arguments":"{}"}"#)
        let told = try await first.control()
        XCTAssertEqual(told["result"] as? String, "{}")
        first.breakOff()

        let second = try await connection()
        second.ready(1)
        let again = try await second.control()
        XCTAssertEqual(again["callId"] as? String, "c1")
        let problem = #"{"status":503,"reason":"X","detail":"x"}"#
        let calls = #"[{"callId":"c1","name":"show"}]"#
        second.event(
            "turn_failed", 2, #"{"turnId":1,"problem":\#(problem),"reply":"","heard":"","toolCalls":\#(calls)}"#)
        for _ in 0..<2 { _ = try await events.next() }
        second.breakOff()

        // That turn's end only said that the function still ran.
        let third = try await connection()
        third.ready(2)
        let onceMore = try await third.control()
        XCTAssertEqual(onceMore["callId"] as? String, "c1")
        let settled = #"[{"callId":"c1","name":"show","outcome":"SUCCEEDED"}]"#
        third.event(
            "turn_failed", 3, #"{"turnId":2,"problem":\#(problem),"reply":"","heard":"","toolCalls":\#(settled)}"#)
        _ = try await events.next()
        third.breakOff()

        let fourth = try await connection()
        fourth.ready(3)
        line.interrupt()
        let sent = try await fourth.control()
        XCTAssertEqual(sent["type"] as? String, "interrupt")
    }

    func testAFunctionIsNotCalledForATurnOfThePast() async throws {
        let line = open(tools: ["show": { $0 }])
        let first = try await connection()
        first.ready(3)
        first.event("tool_called", 1, #"{"turnId":1,"callId":"c1","name":"show","arguments":"{}"}"#)
        let problem = #"{"status":503,"reason":"X","detail":"x"}"#
        let calls = #"[{"callId":"c1","name":"show","outcome":"SUCCEEDED"}]"#
        first.event(
            "turn_failed", 2, #"{"turnId":1,"problem":\#(problem),"reply":"","heard":"","toolCalls":\#(calls)}"#)
        first.event("tool_called", 3, #"{"turnId":2,"callId":"c2","name":"show","arguments":"{}"}"#)
        let told = try await first.control()
        XCTAssertEqual(told["callId"] as? String, "c2")
        line.close()
    }

    func testAFunctionThatFailsSaysSo() async throws {
        struct Missing: Error {}
        let line = open(tools: ["show": { _ in throw Missing() }])
        let first = try await connection()
        first.ready()
        first.event("tool_called", 1, #"{"turnId":1,"callId":"c1","name":"show","arguments":"{}"}"#)
        let told = try await first.control()
        XCTAssertEqual(told["failed"] as? Bool, true)
        line.close()
    }

    func testTellsThatSpeechIsSuspendedAndThatItGoesOn() async throws {
        let line = open()
        let first = try await connection()
        first.ready()
        first.message(#"{"event":"conversation_suspended","data":{}}"#)
        await until(.suspended, line)
        first.message(#"{"event":"conversation_resumed","data":{}}"#)
        await until(.connected, line)
    }

    func testAUserWhoLeavesSaysSo() async throws {
        let line = open()
        let first = try await connection()
        first.ready()
        await until(.connected, line)
        XCTAssertTrue(line.leave())
        let sent = try await first.control()
        XCTAssertEqual(sent["type"] as? String, "leave")
        XCTAssertEqual(first.end, "closed")
        XCTAssertFalse(line.leave())
        for try await _ in line.events { XCTFail("There was no event.") }
    }
}
