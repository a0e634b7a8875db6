// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Testing

@testable import Pipeline

@Suite("Questions to workers")
struct InquiryTests {
    /// Asks where the workers do what `answering` does when it rings.
    private func ask(
        _ inquiry: Inquiry<Int, String>,
        _ question: Int = 7,
        workers: Int = 2,
        patience: Double = 0.02,
        answering: () -> Void
    ) -> [Int: String] {
        inquiry.ask(question, of: workers, patience: patience, ring: answering) { true }
    }

    @Test("Every worker finds the question once and its answer comes back under its number")
    func answers() {
        let inquiry = Inquiry<Int, String>()
        var seen = [0, 0]
        let found = ask(inquiry) {
            for worker in 0..<2 {
                let question = inquiry.news(since: &seen[worker])
                #expect(question == 7)
                inquiry.answer("worker \(worker)", to: seen[worker], from: worker)
                #expect(inquiry.news(since: &seen[worker]) == nil)
            }
        }
        #expect(found == [0: "worker 0", 1: "worker 1"])
    }

    @Test("An answer that comes after its question was given up is not taken for one to the next")
    func late() {
        let inquiry = Inquiry<Int, String>()
        var seen = 0
        let first = ask(inquiry) { _ = inquiry.news(since: &seen) }
        #expect(first.isEmpty)
        let second = ask(inquiry) { inquiry.answer("late", to: seen, from: 0) }
        #expect(second.isEmpty)
    }

    @Test("A worker that ended answers every later question by what it left, which nothing overrules")
    func legacy() {
        let inquiry = Inquiry<Int, String>()
        inquiry.leave("last words", from: 1)
        var seen = 0
        let found = ask(inquiry, patience: 10) {
            _ = inquiry.news(since: &seen)
            inquiry.answer("alive", to: seen, from: 0)
            inquiry.answer("late", to: seen, from: 1)
        }
        #expect(found == [0: "alive", 1: "last words"])
        #expect(inquiry.legacies == [1: "last words"])
    }

    @Test("Nobody waits for workers once the capture is over")
    func over() {
        let inquiry = Inquiry<Int, String>()
        let began = Date()
        let found = inquiry.ask(7, of: 2, patience: 600, ring: {}, while: { false })
        #expect(found.isEmpty)
        #expect(Date().timeIntervalSince(began) < 300)
    }
}
