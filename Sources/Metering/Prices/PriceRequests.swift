// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
public import PostgresWire

/// What one worker asks about patterns, and what it has to tell: handed over once a turn, never waited for.
public struct PriceRequests {
    let asTenant: Bool
    /// Settings of roles.
    var roles = RoleFacts()
    private let cluster: Fingerprint
    private var waiting = Waiting()
    private var handles: [Fingerprint: PatternHandle] = [:]
    /// Changes of open transactions, and how many there are.
    private var held: [FlowHandle: [PlanChange]] = [:]
    private var heldCount = 0
    private var paths: SearchPaths
    private let hash: KeyedHash

    /// What waits to be handed over.
    public struct Waiting {
        /// Patterns to be priced.
        public internal(set) var wanted: [PatternHandle] = []
        /// Changes of tables that passed by.
        public internal(set) var changes: [PlanChange] = []
        /// What found no room.
        public internal(set) var overflow: UInt64 = 0
        /// How many patterns each user wants.
        var shares: [Int32: Int] = [:]
    }

    /// More are left out until the service has taken these.
    private static let mostWanted = 4096
    private static let mostChanges = 1024

    init(_ scheme: PricingScheme, _ hash: KeyedHash) {
        asTenant = scheme.asTenant
        self.hash = hash
        paths = SearchPaths(hash: hash)
        cluster = hash.hash(Array(scheme.cluster.utf8).rawSpan)
    }

    /// What a pattern's price is known by.
    ///
    /// - Parameter role: as ``role(of:_:)`` says it.
    func key(
        _ pattern: Fingerprint,
        _ scope: PatternScope,
        database: String,
        role: String?
    ) -> Fingerprint {
        var key = PriceKey(cluster: cluster, database: name(database), pattern: pattern)
        if let path = path(scope.path) { key.path = name(path) }
        if let role { key.role = name(role) }
        (key.limit, key.offset) = (scope.limit, scope.offset)
        return key.digest(hash)
    }

    /// What a price's key says of the role: its name where prices are each role's, or that it sees all rows.
    func role(of user: String?, _ number: Int32) -> String? {
        // No role can be named so: PostgreSQL reserves the prefix.
        asTenant ? user : number == 1 ? "pg_bypasses_row_security" : nil
    }

    private func name(_ text: String) -> Fingerprint { hash.hash(Array(text.utf8).rawSpan) }

    /// A search_path by its number; `nil`: that of the login.
    func path(_ number: UInt16) -> String? { paths[number] }

    /// The number of a search_path that a user's session takes.
    mutating func number(ofPath value: RawSpan, for owner: Int32) -> UInt16 { paths.number(of: value, for: owner) }

    /// A pattern by its price's key, if it ever asked for one.
    func handle(of key: Fingerprint) -> PatternHandle? { handles[key] }

    /// A pattern is to be priced.
    mutating func want(_ pattern: PatternHandle, _ key: Fingerprint, for owner: Int32) {
        // 0 has no text that could be priced.
        guard pattern > 0 else { return }
        handles[key] = pattern
        guard waiting.wanted.count < Self.mostWanted, waiting.shares[owner, default: 0] < Self.mostWanted / 8 else {
            waiting.overflow &+= 1
            return
        }
        waiting.shares[owner, default: 0] += 1
        waiting.wanted.append(pattern)
    }

    /// Patterns are gone, and what stands for them has no price of its own.
    mutating func forget(_ gone: [PatternHandle: PatternHandle]) {
        for (key, handle) in handles where gone[handle] != nil { handles[key] = nil }
        waiting.wanted.removeAll { gone[$0] != nil }
    }

    /// The number of this user may be another's soon, who has a share of their own.
    mutating func forget(_ owner: Int32) {
        paths.forget(owner)
        waiting.shares[owner] = nil
    }

    /// A change that counts once its transaction commits; where too many wait for that, it counts at once.
    mutating func hold(_ change: PlanChange, of flow: FlowHandle) {
        guard heldCount < Self.mostChanges else { return note(change) }
        heldCount += 1
        held[flow, default: []].append(change)
    }

    /// Whether changes wait for the end of a transaction.
    var holdsChanges: Bool { heldCount > 0 }

    /// The transaction of a flow ended, or the flow did.
    mutating func release(_ flow: FlowHandle, committed: Bool) {
        guard let changes = held.removeValue(forKey: flow) else { return }
        heldCount -= changes.count
        if committed { for change in changes { note(change) } }
    }

    /// A change counts.
    mutating func note(_ change: PlanChange) {
        guard waiting.changes.count < Self.mostChanges else {
            waiting.overflow &+= 1
            return
        }
        waiting.changes.append(change)
    }

    /// Whether nothing waits to be handed over.
    public var isEmpty: Bool { waiting.wanted.isEmpty && waiting.changes.isEmpty }

    /// What waits, which is handed over now.
    mutating func take() -> Waiting {
        defer { waiting = Waiting() }
        return waiting
    }
}
