import Foundation
import XCTest

@testable import Parley

final class EventParserTests: XCTestCase {
    private let stream = """
        event: ready
        data: {"lastSequence":0}

        : still here

        id: 1
        event: reply_updated
        data: {"turnId":1,"delta":"你好: a"}

        id: 2
        event: of_tomorrow
        data: {"turnId":1}


        """

    func testReadsEventsThatAreCutAnywhere() throws {
        var parser = EventParser()
        var events: [Event] = []
        for byte in Data(stream.utf8) { events += try parser.feed(Data([byte])) }
        XCTAssertEqual(events.map(\.sequence), [nil, 1, 2])
        XCTAssertEqual(events[1].data, .replyUpdated(ReplyUpdated(turnId: 1, delta: "你好: a")))
        XCTAssertEqual(events[2].data, .unknown)
    }

    func testAProblemEndsTheStream() {
        var parser = EventParser()
        let told = "event: problem\ndata: {\"status\":503,\"reason\":\"DRAINING\",\"detail\":\"x\"}\n\n"
        XCTAssertThrowsError(try parser.feed(Data(told.utf8))) { error in
            XCTAssertEqual((error as? Problem)?.reason, "DRAINING")
        }
    }

    func testAProxysRefusalIsAProblemToo() {
        let problem = Problem(status: 502, body: Data("<html>".utf8), retryAfter: "7")
        XCTAssertEqual(problem.reason, "INTERNAL")
        XCTAssertEqual(problem.retryAfter, 7)
    }

    func testATaskIsOrderedWithWhatIsSetAndNothingElse() throws {
        var order = TaskOrder(roomId: "room_1", streamId: "stream_1")
        order.lang = "en"
        let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(order)) as? [String: Any]
        XCTAssertEqual(Set(encoded?.keys ?? [:].keys), ["roomId", "streamId", "lang", "maxAbsenceSeconds"])
    }
}
