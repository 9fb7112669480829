import Foundation

/// Who decides that the user has finished: the service, or the user by letting a button go.
public enum TurnDetection: String, Sendable {
    case server = "SERVER"
    case manual = "MANUAL"
}

/// The state of a line; suspended: it is open, but the speech service is lost for the moment.
public enum Link: Sendable {
    case connecting, connected, suspended, broken, closed
}

/// A function of the app that the model may call: from its arguments, a JSON object, to what the model
/// is told, text or JSON. An error's description is told as a failure.
public typealias Tool = @Sendable (String) async throws -> String

/// A problem with a lesser status is a refusal: another try would be refused again.
private let serverErrors = 500
private let defaultReadyTime: TimeInterval = 10
/// A connection that lives this long ends the outage before it.
private let outageOver: TimeInterval = 5
/// Five seconds of audio that the network does not take: the connection is dead.
private let mostUnsentBytes = 160_000
private let nanosecondsPerSecond: TimeInterval = 1_000_000_000
/// Of 20 ms each: what the user says in the last five seconds of an outage is sent afterwards.
private let mostWaitingFrames = 250

/// The open line to a digital human: voice and questions up, events down, over as many connections as
/// it takes. Every event is reported once and in order; a question that a broken connection may have
/// lost is asked again.
///
/// Its functions may be called from any thread, and do not block.
public final class Line: @unchecked Sendable {
    typealias Opener = @Sendable (_ after: Int, _ tell: @escaping @Sendable (LineSignal) -> Void) -> any LineConnection

    /// What happens, for one loop. It ends when the line is closed, and throws the `Problem` that the
    /// gateway refuses or ends the line with, such as TASK_ENDED.
    public let events: AsyncThrowingStream<Event, any Error>
    /// The state of the line, whenever it changes, for one loop.
    public let links: AsyncStream<Link>

    private let reported: AsyncThrowingStream<Event, any Error>.Continuation
    private let linked: AsyncStream<Link>.Continuation
    private let detection: TurnDetection
    private let tools: [String: Tool]
    private let opener: Opener
    private let readyTime: TimeInterval

    // All that follows belongs to the queue.
    private let queue = DispatchQueue(label: "parley.line")
    private var connection: (any LineConnection)?
    private var attempts = 0
    private var sequence: Int
    /// The last event before the connection, nil until it is ready.
    private var lastBefore: Int?
    private var link = Link.connecting
    private var told: [Told] = []
    /// Calls of the app's functions, in order, until what was missed is known: it may settle them.
    private var waitingCalls: [ToolCalled] = []
    /// Audio since the button was pressed, or audio that could not be sent.
    private var frames: [Data] = []
    private var failures = 0
    private var openedAt = DispatchTime.now()
    private var mostUnsent = mostUnsentBytes
    private var timer: DispatchWorkItem?

    init(
        detection: TurnDetection, after: Int, tools: [String: Tool],
        readyTime: TimeInterval = defaultReadyTime, opener: @escaping Opener
    ) {
        var reporting: AsyncThrowingStream<Event, any Error>.Continuation?
        events = AsyncThrowingStream { reporting = $0 }
        var linking: AsyncStream<Link>.Continuation?
        links = AsyncStream { linking = $0 }
        // Both streams hand their continuation out before they are made.
        reported = reporting!
        linked = linking!
        self.detection = detection
        self.tools = tools
        self.opener = opener
        self.readyTime = readyTime
        sequence = after
    }

    deinit {
        connection?.cancel()
        linked.finish()
        reported.finish()
    }

    func open() {
        perform { $0.connect() }
    }

    /// The position of the last event that was reported, after which another line may go on.
    public var lastSequence: Int { queue.sync { sequence } }

    /// Sends audio of the microphone: all of it with `server`, with `manual` what is said while holding.
    ///
    /// - Parameter frame: 16-bit little-endian samples, mono, 16 kHz; 20 ms are best, 65536 bytes the most.
    public func sendAudio(_ frame: Data) {
        perform { $0.takeAudio(frame) }
    }

    /// The user has let the button go.
    public func commit() {
        perform { line in
            let said = line.frames
            line.frames = []
            if !said.isEmpty { line.tell(.commit, said) }
        }
    }

    /// Asks in writing; returns the `requestId` of its `turnStarted`.
    @discardableResult
    public func ask(_ text: String) -> String {
        let requestId = UUID().uuidString.lowercased()
        perform { line in
            line.tell(Control(type: "text", text: text, requestId: requestId))
            line.connectNow()
        }
        return requestId
    }

    /// Says that the digital human is seen and heard: it greets the user, unless the call has begun.
    public func greet() {
        perform { $0.send(.greet) }
    }

    /// Cuts off what is said, and all that was asked before.
    public func interrupt() {
        perform { line in
            line.told.removeAll { $0.isQuestion }
            line.send(.interrupt)
        }
    }

    /// Tells what a function of the app returned, or with `failed` why it did not; see `Tool`.
    public func answerTool(callId: String, result: String, failed: Bool = false) {
        perform { line in
            line.tell(Control(type: "tool_result", callId: callId, result: result, failed: failed))
        }
    }

    /// Connects now, where the line waits for its next try: the network is back.
    public func reconnect() {
        perform { $0.connectNow() }
    }

    /// Closes the line and says that the user leaves: the task is stopped unless another line is opened
    /// within `linger` seconds. False when that could not be said; stop the task instead.
    @discardableResult
    public func leave(linger: TimeInterval = 15) -> Bool {
        queue.sync {
            let isSaid = lastBefore != nil
            send(Control(type: "leave", lingerSeconds: linger))
            if link != .closed { end() }
            return isSaid
        }
    }

    /// Closes the line; the task goes on until nobody has talked with it for `maxIdleSeconds`.
    public func close() {
        perform { $0.end() }
    }

    /// Does something on the queue, unless the line is closed by then.
    private func perform(_ action: @escaping @Sendable (Line) -> Void) {
        queue.async { if self.link != .closed { action(self) } }
    }

    private func takeAudio(_ frame: Data) {
        if detection == .manual {
            if frames.isEmpty { told.removeAll { $0.isSpoken } }
            frames.append(frame)
        } else if lastBefore == nil {
            frames.append(frame)
            if frames.count > mostWaitingFrames { frames.removeFirst() }
        }
        guard lastBefore != nil, let connection else { return }
        connection.send(frame)
        if connection.unsentBytes > mostUnsent { lose() }
    }

    private func connectNow() {
        if connection == nil { connect() }
    }

    private func connect() {
        openedAt = .now()
        attempts += 1
        let attempt = attempts
        connection = opener(sequence) { [weak self] signal in
            self?.perform { $0.take(signal, of: attempt) }
        }
        later(readyTime) { $0.lose() }
    }

    /// Connections before this one may still tell something.
    private func take(_ signal: LineSignal, of attempt: Int) {
        if connection == nil || attempt != attempts { return }
        switch signal {
        case .message(let text): receive(text)
        case .closed: lose()
        case .failed(let error): if isOutage(error) { lose() } else { end(error) }
        }
    }

    private func lose() {
        connection?.cancel()
        connection = nil
        lastBefore = nil
        let lived = DispatchTime.now().uptimeNanoseconds - openedAt.uptimeNanoseconds
        if TimeInterval(lived) / nanosecondsPerSecond > outageOver { failures = 0 }
        setLink(.broken)
        later(backoff(failures: failures)) { $0.connect() }
        failures += 1
    }

    /// What the gateway says before it closes the connection; after a failure of its own it may be asked
    /// again.
    private func take(_ problem: ProblemBody) {
        if problem.status < serverErrors { end(Problem(problem)) } else { lose() }
    }

    private func end(_ cause: (any Error)? = nil) {
        timer?.cancel()
        connection?.close()
        connection = nil
        lastBefore = nil
        setLink(.closed)
        linked.finish()
        reported.finish(throwing: cause)
    }

    private func receive(_ text: String) {
        do {
            switch try JSONDecoder().decode(LineMessage.self, from: Data(text.utf8)) {
            case .problem(let problem): take(problem)
            case .event(let event): report(event)
            }
        } catch {
            end(error)
        }
    }

    /// Reports an event once: another connection may send it again.
    private func report(_ event: Event) {
        switch event.name {
        case "conversation_suspended": return setLink(.suspended)
        case "conversation_resumed": return setLink(.connected)
        default: break
        }
        if case .ready(let ready) = event.data { return begin(ready) }
        guard let position = event.sequence, position > sequence else { return }
        sequence = position
        if let taken = told.firstIndex(where: { $0.isTaken(by: event) }) { told.remove(at: taken) }
        reported.yield(event)
        noteCalls(event.data)
        noteArrival()
    }

    private func noteCalls(_ data: EventData) {
        if case .toolCalled(let called) = data { waitingCalls.append(called) }
        let settled = data.settledCalls.map(\.callId)
        waitingCalls.removeAll { settled.contains($0.callId) }
    }

    private func begin(_ ready: Ready) {
        timer?.cancel()
        lastBefore = ready.lastSequence
        for frame in frames { connection?.send(frame) }
        if detection == .server { frames = [] }
        mostUnsent = mostUnsentBytes + (connection?.unsentBytes ?? 0)
        noteArrival()
    }

    /// The line is back once what was missed has arrived, which shows what was taken.
    private func noteArrival() {
        guard let lastBefore, sequence >= lastBefore else { return }
        if link != .connected {
            for each in told.indices where told[each].connection !== connection {
                told[each].connection = connection
                for frame in told[each].frames { connection?.send(frame) }
                send(told[each].control)
            }
            setLink(.connected)
        }
        let calls = waitingCalls
        waitingCalls = []
        for called in calls {
            if let tool = tools[called.name] { call(tool, called) }
        }
    }

    private func setLink(_ changed: Link) {
        if changed == link { return }
        link = changed
        linked.yield(changed)
    }

    private func tell(_ control: Control, _ frames: [Data] = []) {
        send(control)
        told.append(Told(control: control, frames: frames, connection: lastBefore == nil ? nil : connection))
    }

    private func send(_ control: Control) {
        if lastBefore != nil { connection?.send(control.message) }
    }

    private func call(_ tool: @escaping Tool, _ called: ToolCalled) {
        Task { [weak self] in
            do {
                let result = try await tool(called.arguments)
                self?.answerTool(callId: called.callId, result: result)
            } catch {
                self?.answerTool(callId: called.callId, result: "\(error)", failed: true)
            }
        }
    }

    private func later(_ pause: TimeInterval, _ action: @escaping (Line) -> Void) {
        timer?.cancel()
        let due = DispatchWorkItem { [weak self] in
            if let self { action(self) }
        }
        timer = due
        queue.asyncAfter(deadline: .now() + pause, execute: due)
    }
}

private func isOutage(_ error: any Error) -> Bool {
    error is Unreachable || error is URLError
}
