// SPDX-License-Identifier: Apache-2.0
import Pipeline

/// By what a report adds up.
public enum Grouping: String, Sendable, CaseIterable {
    /// Users in their databases.
    case user
    /// Statement patterns.
    case pattern
    /// Databases.
    case database
    /// Client addresses.
    case client
}

/// One line of a report's first table.
struct Group {
    var user: String?
    var database: String?
    var client: String?
    var counts = PrincipalCounts()
}

extension ReplayResult {
    /// The principals added up by `grouping`, most costly first; unattributed ones are left out.
    func groups(by grouping: Grouping) -> [Group] {
        var sums: [[String]: Group] = [:]
        for principal in principals.dropFirst() {
            let key: [String]
            var group = Group()
            switch grouping {
            case .user, .pattern:
                key = [principal.user ?? "", principal.database ?? ""]
                (group.user, group.database) = (principal.user, principal.database)
            case .database:
                key = [principal.database ?? ""]
                group.database = principal.database
            case .client:
                key = [principal.client ?? ""]
                group.client = principal.client
            }
            sums[key, default: group].counts.add(principal.counts)
        }
        return sums.sorted { left, right in
            if left.value.counts.cost != right.value.counts.cost {
                return left.value.counts.cost > right.value.counts.cost
            }
            return left.key.lexicographicallyPrecedes(right.key)
        }.map(\.value)
    }
}
