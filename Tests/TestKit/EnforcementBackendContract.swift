// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
public import Quotas
import Testing

/// What every backend of limits keeps to.
public enum EnforcementBackendContract {
    /// A backend and the place it works on.
    public struct Subject {
        /// A new backend over the same place, as after a restart.
        public var make: () throws -> any EnforcementBackend
        /// The limit of a user in that place, asked there and not of the backend; `nil`: none.
        public var limit: (String) throws -> Int?
        /// Two users who can be limited, and one whom the place does not know.
        public var users: [String], stranger: String
        /// Whether limits are set; a dry run sets none.
        public var isReal: Bool

        /// A subject.
        public init(
            make: @escaping () throws -> any EnforcementBackend,
            limit: @escaping (String) throws -> Int?,
            users: [String],
            stranger: String,
            isReal: Bool
        ) {
            (self.make, self.limit, self.users) = (make, limit, users)
            (self.stranger, self.isReal) = (stranger, isReal)
        }
    }

    /// The moment it is.
    public static func now() -> Timestamp {
        Timestamp(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
    }

    /// Applies again and again until all wanted users are as `states` says; returns the last outcome.
    @discardableResult
    public static func settle(
        _ backend: any EnforcementBackend,
        _ wanted: WantedLimits,
        in states: Set<EnforcementState> = [.enforced, .skipped, .partial],
        seconds: Double = 12
    ) -> EnforcementOutcome {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            let outcome = backend.apply(wanted, now: now())
            let asked = Set(wanted.limits.map(\.user))
            let isDone = outcome.users.allSatisfy { !asked.contains($0.user) || states.contains($0.state) }
            if isDone || Date() > deadline { return outcome }
            usleep(250_000)
        }
    }

    /// Wants that hold for so many seconds.
    public static func wants(_ generation: UInt64, _ limits: [(String, Int)], seconds: Int64 = 60) -> WantedLimits {
        WantedLimits(
            generation: generation,
            expires: Timestamp(nanoseconds: now().nanoseconds + seconds * 1_000_000_000),
            limits: limits.map { UserLimit(user: $0.0, connections: $0.1) }
        )
    }

    /// Fails the test where the backend does otherwise.
    public static func check(_ subject: Subject) throws {
        let (first, second) = (subject.users[0], subject.users[1])
        func limits() throws -> [Int?] { try subject.users.map(subject.limit) }
        func expect(_ wanted: [Int?], _ comment: Comment) throws {
            #expect(try limits() == (subject.isReal ? wanted : [nil, nil]), comment)
        }
        var backend = try subject.make()
        #expect(!backend.name.isEmpty)

        // A name from the wire may be anything, and nobody whom the place does not know is limited.
        let hostile = ["", "a'b", "a\"b", "x\ny", "é", String(repeating: "n", count: 64), "; drop", "a\u{0}b"]
        let names = [first, subject.stranger] + hostile
        var outcome = settle(backend, wants(10, names.map { ($0, 2) }))
        #expect(Set(outcome.users.map(\.user)) == Set(names), "each wanted user stands somewhere")
        #expect(outcome.users.count == names.count, "and once")
        for user in outcome.users where user.user != first {
            #expect(user.state == .skipped && !user.reason.isEmpty, "\(user)")
        }
        #expect(try subject.limit(subject.stranger) == nil)
        try expect([2, nil], "the one is limited")

        // What is old is not carried out, and does not undo anything.
        if subject.isReal {
            outcome = backend.apply(wants(9, [(second, 1)]), now: now())
            #expect(outcome.problem != nil)
            try expect([2, nil], "an older generation changes nothing")
        }

        // A restart takes over what is there.
        backend = try subject.make()
        try expect([2, nil], "a restart releases nobody")
        outcome = settle(backend, wants(11, [(first, 2), (second, 3)]))
        try expect([2, 3], "it goes on")
        if subject.isReal { #expect(outcome.problem == nil, "\(outcome.problem ?? "")") }

        // Who is wanted no more is released, and that is said once.
        outcome = settle(backend, wants(12, [(second, 3)]))
        #expect(outcome.users.first { $0.user == first }?.state == .released)
        try expect([nil, 3], "the released one")
        outcome = settle(backend, wants(12, [(second, 3)]))
        #expect(!outcome.users.contains { $0.user == first })

        // Wants that ran out release everybody: fail open.
        outcome = backend.apply(wants(13, [(first, 1), (second, 1)], seconds: -1), now: now())
        try expect([nil, nil], "a lease that ran out")
        #expect(outcome.users.allSatisfy { $0.state == .released })

        // So does the end; and a lease that ran out while nobody was there.
        settle(backend, wants(14, [(first, 2), (second, 2)]))
        try expect([2, 2], "limited again")
        #expect(backend.releaseAll(now: now()) == nil)
        try expect([nil, nil], "the end")
        settle(backend, wants(15, [(first, 2)], seconds: 2))
        try expect([2, nil], "for two seconds")
        Thread.sleep(forTimeInterval: 2.2)
        backend = try subject.make()
        _ = backend.apply(wants(16, []), now: now())
        try expect([nil, nil], "a lease that ran out without us")
        #expect(backend.releaseAll(now: now()) == nil)
    }
}
