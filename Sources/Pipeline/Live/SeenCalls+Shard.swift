// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering

/// Whose calls stand together.
private struct CallsPlace: Hashable {
    var user: String?, database: String?
    var server: Endpoint?
}

extension Shard where Recorder: ~Copyable {
    /// What each user did, as pg_stat_statements counts it; what is nobody's stands together.
    var seenCalls: [SeenCalls] {
        var found: [CallsPlace: PrincipalCounts] = [:]
        for place in 0..<analyser.metering.principals.highWater {
            guard let principal = analyser.metering.principals.occupant(at: place)?.value else { continue }
            let isKnown = principal.user != nil
            let key = CallsPlace(
                user: principal.user,
                database: isKnown ? principal.database : nil,
                server: isKnown ? principal.server : nil
            )
            found[key, default: PrincipalCounts()].add(principal.counts)
        }
        return found.map { place, counts in
            var calls = SeenCalls(user: place.user, database: place.database, server: place.server)
            (calls.plannable, calls.utilities) = (counts.plannable, counts.utilities)
            (calls.deallocations, calls.unclassified) = (counts.deallocations, counts.unclassified)
            (calls.uncertain, calls.logins) = (counts.uncertain, counts.logins)
            return calls
        }
    }
}
