// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import Metering
import Quotas
import Synchronization

/// What services tell all workers, who take it between packets.
extension WorkerPool {
    /// What commands that all hold may weigh while they wait: as many as they have prices or sessions, and 64 at least.
    private static let mostWaiting = 1 << 16

    private func post(
        _ kind: WorkerCommand,
        weight: Int = 1,
        _ body: @escaping @Sendable (inout any WorkerState & ~Copyable) -> Void
    ) {
        for handle in handles { handle.mailbox.post(kind, weight: weight, body) }
    }

    /// By what is judged now.
    public var policySnapshot: PolicySnapshot { state.withLock { $0.policy } }

    /// Judges by something else from now on; open connections and counts stay.
    public func apply(_ policy: PolicySnapshot) {
        state.withLock { $0.policy = policy }
        let prices = policy.prices
        post(.latest("policy")) { $0.apply(prices) }
    }

    /// Whether connections of poolers to servers were found to be passed over while it ran.
    public var ignoresServerSide: Bool { state.withLock { $0.ignoresServerSide } }

    /// Passes over the connections of these poolers to servers from now on, the open ones included.
    public func ignoreServerSide(of poolers: PoolerAddresses) {
        state.withLock { $0.ignoresServerSide = true }
        post(.latest("poolers")) { $0.ignoreServerSide(of: poolers) }
    }

    /// From now on what was used at other servers than these is possible, not proven.
    public func prove(_ servers: NamedServers) {
        post(.latest("servers")) { $0.prove(servers) }
    }

    /// Tells the workers what became of sessions whose owner was in question.
    public func settle(_ resolutions: [SessionResolution]) {
        for (worker, own) in Dictionary(grouping: resolutions, by: \.session.worker) {
            guard handles.indices.contains(worker) else { continue }
            handles[worker].mailbox.post(.each("resolutions", weight: Self.mostWaiting), weight: max(64, own.count)) {
                $0.take(own)
            }
        }
    }

    /// Tells all workers prices.
    public func tell(_ answers: [PriceAnswer]) {
        guard !answers.isEmpty else { return }
        post(.each("prices", weight: Self.mostWaiting), weight: max(64, answers.count)) { $0.take(answers) }
    }

    /// Tells all workers the settings of roles.
    public func tell(_ roles: RoleFacts) {
        let isNew = state.withLock { state in
            defer { state.roles = roles }
            return state.roles != roles
        }
        if isNew { post(.latest("roles")) { $0.take(roles) } }
    }

    /// Asks the workers how long patterns took: they tell it with what they ask.
    public func askForObservations() {
        post(.latest("observations")) { $0.handOverObservations() }
    }
}
