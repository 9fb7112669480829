import Foundation

/// Something that happened in a conversation or to its task.
public struct Event: Decodable, Equatable, Sendable {
    public let name: String
    /// Its position, after which a line or a stream resumes; `nil` where it has none.
    public let sequence: Int?
    public let data: EventData

    private enum Keys: String, CodingKey {
        case event, sequence, data
    }

    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Keys.self)
        name = try members.decode(String.self, forKey: .event)
        sequence = try members.decodeIfPresent(Int.self, forKey: .sequence)
        func read<Data: Decodable>(_ type: Data.Type) throws -> Data {
            try members.decode(type, forKey: .data)
        }
        switch name {
        case "ready": data = .ready(try read(Ready.self))
        case "speech_started": data = .speechStarted(try read(SpeechOffset.self))
        case "speech_ended": data = .speechEnded(try read(SpeechOffset.self))
        case "speech_dismissed": data = .speechDismissed(try read(SpeechDismissed.self))
        case "transcript_updated": data = .transcriptUpdated(try read(TranscriptUpdated.self))
        case "turn_started": data = .turnStarted(try read(TurnStarted.self))
        case "reply_updated": data = .replyUpdated(try read(ReplyUpdated.self))
        case "sentence_started": data = .sentenceStarted(try read(SentenceStarted.self))
        case "playback_started": data = .playbackStarted(try read(PlaybackStarted.self))
        case "tool_called": data = .toolCalled(try read(ToolCalled.self))
        case "turn_finished": data = .turnFinished(try read(TurnFinished.self))
        case "turn_failed": data = .turnFailed(try read(TurnFailed.self))
        case "snapshot": data = .snapshot(try read(TaskChange.self))
        case "state_changed": data = .stateChanged(try read(TaskChange.self))
        default: data = .unknown
        }
    }
}

/// What an event says. Times are in milliseconds; offsets in text count Unicode code points.
public enum EventData: Equatable, Sendable {
    /// The question is taken, or the line is open.
    case ready(Ready)
    case speechStarted(SpeechOffset)
    /// The user's utterance is over.
    case speechEnded(SpeechOffset)
    /// What sounded like words asks for nothing.
    case speechDismissed(SpeechDismissed)
    /// The whole utterance so far; a later one replaces it.
    case transcriptUpdated(TranscriptUpdated)
    /// The user's words are taken, and a reply is being made.
    case turnStarted(TurnStarted)
    /// Text to append to the reply.
    case replyUpdated(ReplyUpdated)
    /// A sentence of the reply has become audio: what captions are made of.
    case sentenceStarted(SentenceStarted)
    /// The digital human began to speak the reply.
    case playbackStarted(PlaybackStarted)
    /// The model calls a function of the app.
    case toolCalled(ToolCalled)
    /// The turn is over, and its reply was heard, wholly or in part.
    case turnFinished(TurnFinished)
    /// The turn is over without a complete reply.
    case turnFailed(TurnFailed)
    /// The task as it is when it begins to be watched.
    case snapshot(TaskChange)
    case stateChanged(TaskChange)
    /// An event that this version does not know; ignore it.
    case unknown
}

public struct Ready: Decodable, Equatable, Sendable {
    public let taskId: String?
    public let personaId: String?
    public let lang: String?
    public let lastSequence: Int
}

public struct SpeechOffset: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let offsetMs: Int
}

public struct SpeechDismissed: Decodable, Equatable, Sendable {
    /// NOISE, BACKCHANNEL or ECHO.
    public let reason: String?
    public let text: String?
}

public struct TranscriptUpdated: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let text: String
    public let isFinal: Bool
}

public struct TurnStarted: Decodable, Equatable, Sendable {
    public let turnId: Int
    /// SPEECH, TEXT, SAY, PROMPT, RESUMED or GREETING.
    public let origin: String?
    /// What was asked, if anything was.
    public let transcript: String?
    public let lang: String?
    public let requestId: String?
}

public struct ReplyUpdated: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let delta: String
}

public struct SentenceStarted: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let text: String
    public let textStart: Int
    public let textEnd: Int
    public let audioOffsetMs: Int
    /// Empty when the voice gives no times.
    public let words: [WordTime]
}

/// When a word of a sentence is heard.
public struct WordTime: Decodable, Equatable, Sendable {
    public let start: Int
    public let end: Int
    public let startMs: Int
    public let endMs: Int
}

public struct PlaybackStarted: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let method: String?
}

public struct ToolCalled: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let callId: String
    public let name: String
    /// A JSON object, as text.
    public let arguments: String
}

/// A tool that was called in a turn; without `outcome` it was still running.
public struct MadeToolCall: Decodable, Equatable, Sendable {
    public let callId: String
    public let name: String
    public let outcome: String?
}

public struct TurnFinished: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let reply: String
    public let heard: String
    public let interrupted: Bool
    public let toolCalls: [MadeToolCall]?
}

public struct TurnFailed: Decodable, Equatable, Sendable {
    public let turnId: Int
    public let problem: ProblemBody
    public let reply: String
    public let heard: String
    public let toolCalls: [MadeToolCall]?
}

public struct TaskChange: Decodable, Equatable, Sendable {
    public let task: DigitalHumanTask
}
