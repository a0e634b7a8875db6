// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import PostgresWire

/// Whose calls stand together.
private struct CallsPlace: Hashable {
    var user: String?, database: String?
    var server: Endpoint?

    init(_ principal: Principal) {
        user = principal.user
        guard user != nil else { return }
        (database, server) = (principal.database, principal.server)
    }
}

extension Shard where Recorder: ~Copyable {
    /// What each user did, as pg_stat_statements counts it; what is nobody's stands together.
    ///
    /// A query that finished is left out until its portal ends: the server counts it then, or not at all.
    var seenCalls: [SeenCalls] {
        mutating get {
            var found: [CallsPlace: PrincipalCounts] = [:]
            for place in 0..<analyser.metering.principals.highWater {
                guard let principal = analyser.metering.principals.occupant(at: place)?.value else { continue }
                found[CallsPlace(principal), default: PrincipalCounts()].add(principal.counts)
            }
            for place in 0..<reassembler.placeCount {
                guard let flow = reassembler.toldFlow(at: place) else { continue }
                let open = analyser.sessions.openQueries(flow)
                guard open.count > 0 else { continue }
                let place = CallsPlace(analyser.metering.principals[open.principal])
                let counted = found[place]?.plannable ?? 0
                found[place]?.plannable = counted - min(counted, open.count)
            }
            return found.map { place, counts in
                var calls = SeenCalls(user: place.user, database: place.database, server: place.server)
                (calls.plannable, calls.utilities) = (counts.plannable, counts.utilities)
                calls.extendedUtilities = counts.extendedUtilities
                (calls.deallocations, calls.unclassified) = (counts.deallocations, counts.unclassified)
                (calls.uncertain, calls.logins) = (counts.uncertain, counts.logins)
                return calls
            }
        }
    }
}
