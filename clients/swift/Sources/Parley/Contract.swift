import Foundation

/// A digital human to put on air. Only the room and the stream are required.
public struct TaskOrder: Encodable, Sendable {
    /// 1 to 128 bytes.
    public var roomId: String
    /// Letters, digits, `-` and `_`, up to 128; unique among running tasks.
    public var streamId: String
    public var personaId: String?
    /// Such as `en`; the persona must speak it.
    public var lang: String?
    public var digitalHumanId: String?
    public var userId: String?
    public var maxDurationSeconds: Int?
    public var maxIdleSeconds: Int?
    /// The task ends once its client is gone for so long: no app that was killed leaves a digital
    /// human that costs money. `nil`: the client may be gone.
    public var maxAbsenceSeconds: Int? = 60
    /// What is said first; `""`: nothing. `nil`: what the persona says.
    public var greeting: String?
    /// `WATCHED` where the app says when its user sees the digital human, by `Line.greet`.
    public var greetWhen: String?
    public var context: String?
    public var variables: [String: String]?

    public init(roomId: String, streamId: String) {
        self.roomId = roomId
        self.streamId = streamId
    }
}

/// A digital human on air for one room and stream.
public struct DigitalHumanTask: Decodable, Equatable, Sendable {
    public let taskId: String
    /// CREATING, STARTING, STREAMING, STOPPING, STOPPED or FAILED.
    public let state: String
    public let roomId: String
    public let streamId: String
    public let personaId: String?
    public let lang: String?
    /// Why it was stopped, such as REQUESTED, IDLE or CLIENT_GONE.
    public let stopReason: String?

    /// Whether it is in a final state.
    public var isOver: Bool { state == "STOPPED" || state == "FAILED" }
}

/// A viewer's token, and where to watch.
public struct ViewerToken: Decodable, Sendable {
    public let token: String
    /// RFC 3339, UTC.
    public let expiresAt: String
    public let appId: Int
    public let playback: Playback
}

/// How the digital human is watched.
public struct Playback: Decodable, Sendable {
    /// `WHEP`, with the address of the stream, or `ZEGO_EXPRESS`, with the SDK's server.
    public let `protocol`: String
    public let url: String?
}

/// What the digital human is asked.
public enum Question: Sendable {
    /// In writing, up to 4000 characters.
    case written(String)
    /// A recording of up to a minute, such as `audio/wav`, `audio/mp4` or `audio/pcm;rate=16000`.
    case spoken(Data, contentType: String)
}

/// A turn that is over; without `turnId` nothing was said.
public struct Answer: Decodable, Sendable {
    public let message: String
    public let turnId: Int?
    public let transcript: String?
    public let reply: String?
    /// The part of `reply` that was played, and what the model remembers.
    public let heard: String?
    public let interrupted: Bool?
}

/// What an app needs to know before a call.
public struct Config: Decodable, Sendable {
    public let version: String
    public let needsKey: Bool
    public let defaultPersonaId: String?
    public let personas: [Persona]
    public let languages: [String]
}

/// Who the digital human is.
public struct Persona: Decodable, Sendable {
    public let personaId: String
    public let displayName: String?
    public let description: String?
    public let languages: [String]
}
