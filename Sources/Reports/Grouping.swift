// SPDX-License-Identifier: Apache-2.0
import Metering
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
    /// Names of applications, as clients give them (`application_name`).
    case application
}

/// One line of a report's first table.
struct Group {
    var user: String?
    var database: String?
    var client: String?
    var application: String?
    var counts = PrincipalCounts()

    /// What one name stands for, other than for users.
    var name: String? { application.map { $0.isEmpty ? "(no name)" : $0 } ?? database ?? client }
}

extension ReplayResult {
    /// The principals added up by `grouping`, most costly first; unattributed ones are left out.
    func groups(by grouping: Grouping) -> [Group] {
        var sums: [GroupKey: PrincipalCounts] = [:]
        for principal in principals.dropFirst() {
            let key =
                switch grouping {
                case .user, .pattern: GroupKey(first: principal.user, second: principal.database)
                case .database: GroupKey(first: principal.database)
                case .client: GroupKey(first: principal.client)
                case .application: GroupKey(first: principal.application)
                }
            sums[key, default: PrincipalCounts()].add(principal.counts)
        }
        let order = sums.sorted { left, right in
            left.value.cost == right.value.cost ? left.key < right.key : left.value.cost > right.value.cost
        }
        return order.map { key, counts in
            var group = Group()
            group.counts = counts
            switch grouping {
            case .user, .pattern: (group.user, group.database) = (key.first, key.second)
            case .database: group.database = key.first
            case .client: group.client = key.first
            case .application: group.application = key.first
            }
            return group
        }
    }
}

/// What principals of one group have in common.
private struct GroupKey: Hashable, Comparable {
    var first: String?
    var second: String?

    static func < (left: GroupKey, right: GroupKey) -> Bool {
        (left.first ?? "", left.second ?? "") < (right.first ?? "", right.second ?? "")
    }
}
