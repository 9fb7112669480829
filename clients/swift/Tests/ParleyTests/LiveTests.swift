import Foundation
import XCTest

@testable import Parley

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// 20 ms of 16-bit samples at 16 kHz.
private let frameBytes = 640
private let wavHeadBytes = 44

/// A running gateway, whose address and key are in the environment.
final class LiveTests: XCTestCase {
    private var environment: [String: String] { ProcessInfo.processInfo.environment }
    private var gateway: Gateway!

    override func setUpWithError() throws {
        try XCTSkipIf(environment["PARLEY_URL"] == nil, "PARLEY_URL is not set: there is no gateway to try.")
        gateway = try gateway(showing: variable("PARLEY_KEY"))
    }

    private func variable(_ name: String) throws -> String { try XCTUnwrap(environment[name], name) }

    private func gateway(showing key: String) throws -> Gateway {
        let url = try XCTUnwrap(URL(string: variable("PARLEY_URL")))
        return Gateway(baseURL: url, credential: { _ in key })
    }

    private func order() throws -> TaskOrder {
        let id = UUID().uuidString
        var order = TaskOrder(roomId: "room-\(id)", streamId: "stream-\(id)")
        order.personaId = try variable("PARLEY_PERSONA")
        order.lang = "en"
        order.greeting = ""
        return order
    }

    private func problem(of work: () async throws -> Void) async -> Problem? {
        do {
            try await work()
        } catch {
            return error as? Problem
        }
        return nil
    }

    func testASpokenQuestionIsAnsweredOverTheLine() async throws {
        let task = try await gateway.createTask(order())
        XCTAssertEqual(task.state, "STREAMING")
        let token = try await gateway.token(userId: "ada", roomId: task.roomId, streamId: task.streamId)
        XCTAssertEqual(token.playback.protocol, "WHEP")
        let line = gateway.openLine(task.taskId, detection: .manual)
        let sound = try Data(contentsOf: URL(fileURLWithPath: variable("PARLEY_WAV"))).dropFirst(wavHeadBytes)
        for start in stride(from: sound.startIndex, to: sound.endIndex, by: frameBytes) {
            line.sendAudio(Data(sound[start..<min(start + frameBytes, sound.endIndex)]))
        }
        line.commit()

        for try await event in line.events {
            switch event.data {
            case .turnStarted(let turn):
                XCTAssertTrue(turn.transcript?.lowercased().contains("order number") ?? false)
            case .turnFinished(let turn):
                XCTAssertEqual(turn.heard, try variable("PARLEY_ANSWER"))
                line.close()
            default: break
            }
        }
        try await gateway.stopTask(task.taskId)
    }

    func testAQuestionIsAnsweredAtOnceAndByEvents() async throws {
        let task = try await gateway.createTask(order())
        let recording = try Data(contentsOf: URL(fileURLWithPath: variable("PARLEY_WAV")))
        let answer = try await gateway.ask(task.taskId, .spoken(recording, contentType: "audio/wav"))
        XCTAssertEqual(answer.heard, try variable("PARLEY_ANSWER"))
        var last: Event?
        for try await event in gateway.talk(task.taskId, .written(try variable("PARLEY_QUESTION"))) { last = event }
        XCTAssertEqual(last?.name, "turn_finished")
        let stopped = try await gateway.stopTask(task.taskId)
        XCTAssertTrue(stopped.isOver)
    }

    func testATaskThatNobodyKnowsIsRefused() async throws {
        let unknown = "task_00000000000000000000000000"
        let asked = await problem { _ = try await gateway.ask(unknown, .written("When?")) }
        let watched = await problem { for try await _ in gateway.watch(unknown) {} }
        XCTAssertEqual(asked?.reason, "TASK_NOT_FOUND")
        XCTAssertEqual(watched?.reason, "TASK_NOT_FOUND")
        #if !canImport(FoundationNetworking)
        // Foundation of Linux (Swift 6.0) traps at the codes from 4000 on that such a line is closed with.
        let opened = await problem { for try await _ in gateway.openLine(unknown).events {} }
        XCTAssertEqual(opened?.reason, "TASK_NOT_FOUND")
        #endif
    }

    #if !canImport(FoundationNetworking)
    // Foundation of Linux (Swift 6.0) traps at an answer 401 that names `Bearer`.
    func testAWrongKeyIsRefused() async throws {
        let stranger = try gateway(showing: "a-key-that-nobody-made")
        let created = await problem { _ = try await stranger.createTask(order()) }
        let opened = await problem { for try await _ in stranger.openLine("task_1").events {} }
        for refused in [created, opened] { XCTAssertEqual(refused?.reason, "CREDENTIALS_INVALID") }
    }
    #endif

    #if !canImport(FoundationNetworking)
    // Foundation of Linux (Swift 6.0) waits on, whatever the time-out of a request.
    func testAnAnswerThatTakesLongerThanTheAppWaitsIsGivenUp() async throws {
        let task = try await gateway.createTask(order())
        do {
            _ = try await gateway.ask(task.taskId, .written("Tell me a story."), timeout: 1)
            XCTFail("It was answered.")
        } catch is Unreachable {
            try await gateway.stopTask(task.taskId)
        }
    }
    #endif

    func testAGatewayThatIsStartedAnewDuringAReplyCostsNoEvent() async throws {
        let task = try await gateway.createTask(order())
        let line = gateway.openLine(task.taskId)
        let question = try variable("PARLEY_QUESTION")
        let restart = try XCTUnwrap(URL(string: variable("PARLEY_RESTART_URL")))
        line.ask(question)
        var sequences: [Int] = []
        var heard: [String] = []
        for try await event in line.events {
            sequences.append(try XCTUnwrap(event.sequence))
            switch event.data {
            case .turnStarted where heard.isEmpty:
                var request = URLRequest(url: restart)
                request.httpMethod = "POST"
                _ = try await URLSession.shared.data(for: request)
            case .turnFinished(let turn):
                heard.append(turn.heard)
                if heard.count == 1 { line.ask(question) } else { line.close() }
            default: break
            }
        }
        XCTAssertEqual(heard, [try variable("PARLEY_ANSWER"), try variable("PARLEY_ANSWER")])
        XCTAssertEqual(sequences, Array(Set(sequences)).sorted())
        var links: [Link] = []
        for await link in line.links { links.append(link) }
        XCTAssertEqual(links.first, .connected)
        XCTAssertTrue(links.contains(.broken))
        try await gateway.stopTask(task.taskId)
    }
}
