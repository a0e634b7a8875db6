// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A limit that is wanted for one user.
public struct UserLimit: Sendable, Hashable {
    /// The login's name, exactly as the backend knows it.
    public var user: String
    /// Connections to the server that the user may have over all instances together; at least 1.
    public var connections: Int

    /// A limit.
    public init(user: String, connections: Int) {
        self.user = user
        self.connections = connections
    }
}

/// The limits that are wanted, all of them: a user who is not among them is to be released.
public struct WantedLimits: Sendable, Hashable {
    /// Grows with every change: what has an older number than one that was applied must not be applied.
    public var generation: UInt64
    /// When the limits end by themselves unless they are renewed.
    public var expires: Timestamp
    /// One entry a user at most.
    public var limits: [UserLimit]

    /// Limits that hold until `expires`.
    public init(generation: UInt64, expires: Timestamp, limits: [UserLimit]) {
        (self.generation, self.expires, self.limits) = (generation, expires, limits)
    }
}

/// How far the limit of one user got.
public enum EnforcementState: String, Sendable, CaseIterable {
    /// Wanted, not yet written.
    case pending
    /// The backend has it; no more connections than before are made.
    case loaded
    /// There are more connections than it allows, and they are being let go.
    case draining
    /// There are no more connections than it allows.
    case enforced
    /// It holds for new connections; old ones cannot be let go, which the reason explains.
    case partial
    /// It cannot or must not be set for this user, which the reason explains.
    case skipped
    /// The backend did not take it, which the reason explains; it is tried again.
    case failed
    /// It was lifted.
    case released
}

/// How the limit of one user stands.
public struct UserEnforcement: Sendable, Hashable {
    /// The user.
    public var user: String
    /// The limit that is in force or under way; `nil`: none.
    public var connections: Int?
    /// How far it got.
    public var state: EnforcementState
    /// The user's connections to the server as seen last; `nil`: not known.
    public var observed: Int?
    /// Why, for people; empty where the state says it all.
    public var reason: String

    /// A standing.
    public init(
        user: String,
        connections: Int?,
        state: EnforcementState,
        observed: Int? = nil,
        reason: String = ""
    ) {
        (self.user, self.connections, self.state) = (user, connections, state)
        (self.observed, self.reason) = (observed, reason)
    }
}

/// What a backend did in one turn.
public struct EnforcementOutcome: Sendable {
    /// Every user who is limited, is to be, or was released since the last turn.
    public var users: [UserEnforcement]
    /// What is wrong with the backend as a whole, with the remedy; `nil`: nothing.
    public var problem: String?
    /// Changes that were loaded, failed loads, and drains so far.
    public var loads: UInt64 = 0, failures: UInt64 = 0, drains: UInt64 = 0

    /// An outcome.
    public init(users: [UserEnforcement], problem: String? = nil) {
        (self.users, self.problem) = (users, problem)
    }
}

/// Where limits take effect: PgBouncer, the roles of a server, or nowhere.
///
/// One thread calls it, about every second; a call may take a second or two. What it cannot do, it says: nothing here
/// throws, because a limit that cannot be set is a state, not an end. Whatever happens to the caller, limits that are not
/// renewed until they expire must be undone by somebody: see ``WantedLimits/expires``.
public protocol EnforcementBackend: AnyObject {
    /// What it is, for people, such as `pgbouncer /run/pgbouncer`.
    var name: String { get }
    /// What an operator should know though nothing fails, each with its remedy.
    var notices: [String] { get }
    /// Logins that it knows: only these can be limited. Observed names are not to be trusted, these are.
    func knownUsers() -> Set<String>
    /// Takes a step towards what is wanted; called again and again with the same or newer wants.
    func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome
    /// Lifts every limit of ours, at once; for a clean end. Returns what went wrong, if anything.
    func releaseAll(now: Timestamp) -> String?
}

extension EnforcementBackend {
    /// Nothing to tell.
    public var notices: [String] { [] }
}

/// Writes nothing, and says what it would do.
public final class DryRun: EnforcementBackend {
    private let known: Set<String>?
    private var last: Set<String> = []

    /// `known`: the users who could be limited; `nil`: everybody.
    public init(known: Set<String>? = nil) { self.known = known }

    /// `dry-run`.
    public var name: String { "dry-run" }
    /// Those that it was given.
    public func knownUsers() -> Set<String> { known ?? [] }

    /// Says that every limit would be set.
    public func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome {
        let limits = now < wanted.expires ? wanted.limits : []
        var users = limits.map { limit in
            UserEnforcement(
                user: limit.user,
                connections: limit.connections,
                state: .skipped,
                reason: "dry run: would be limited to \(limit.connections)"
            )
        }
        let now = Set(limits.map(\.user))
        users += last.subtracting(now).sorted().map {
            UserEnforcement(user: $0, connections: nil, state: .released, reason: "dry run")
        }
        last = now
        return EnforcementOutcome(users: users)
    }

    /// There is nothing to lift.
    public func releaseAll(now: Timestamp) -> String? {
        last = []
        return nil
    }
}
