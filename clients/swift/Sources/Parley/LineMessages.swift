import Foundation

/// A message that comes down a line: an event, or why the line is closed after it.
enum LineMessage: Decodable {
    case event(Event)
    case problem(ProblemBody)

    private enum Keys: String, CodingKey {
        case problem
    }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Keys.self)
        if let problem = try members.decodeIfPresent(ProblemBody.self, forKey: .problem) {
            self = .problem(problem)
        } else {
            self = .event(try Event(from: decoder))
        }
    }
}

/// A message that goes up a line, beside sound.
struct Control: Encodable, Equatable {
    let type: String
    var text: String?
    var requestId: String?
    var callId: String?
    var result: String?
    var failed: Bool?
    var lingerSeconds: Double?

    static let commit = Control(type: "commit")
    static let greet = Control(type: "greet")
    static let interrupt = Control(type: "interrupt")

    /// As it is sent.
    var message: String {
        // Texts, a number and a truth value are always JSON.
        let encoded = try? JSONEncoder().encode(self)
        return String(decoding: encoded ?? Data(), as: UTF8.self)
    }
}

/// Something told, which the next connection tells again unless it was taken.
struct Told {
    let control: Control
    /// What the user said.
    let frames: [Data]
    /// What it was sent by; `nil` when nothing could send it.
    var connection: (any LineConnection)?

    var isSpoken: Bool { control.type == "commit" }

    /// Whether it asks for a turn, which an interruption makes pointless.
    var isQuestion: Bool { control.callId == nil }

    /// Whether the event shows that the service has it.
    func isTaken(by event: Event) -> Bool {
        switch event.data {
        case .speechEnded: return isSpoken
        case .turnStarted(let turn): return control.requestId != nil && turn.requestId == control.requestId
        case .turnFinished, .turnFailed: return event.data.settledCalls.contains { $0.callId == control.callId }
        default: return false
        }
    }
}

extension EventData {
    /// The calls of tools that an event settles: a turn's end may also name some that still run.
    var settledCalls: [MadeToolCall] {
        let made: [MadeToolCall]?
        switch self {
        case .turnFinished(let turn): made = turn.toolCalls
        case .turnFailed(let turn): made = turn.toolCalls
        default: made = nil
        }
        return (made ?? []).filter { $0.outcome != nil }
    }
}
