// SPDX-License-Identifier: Apache-2.0

/// Why a server and a tap may count differently.
public struct Reason: Sendable, Encodable, Hashable {
    /// What it is; closed, so that it may be a label of metrics.
    public enum Kind: String, Sendable, Encodable, CaseIterable {
        /// Top-level or nested, no client sent it: inside a function, or the check of a foreign key.
        case nested
        case foreignKey = "foreign_key"
        /// Sessions that no packet can show, or whose packets cannot be read.
        case unixSocket = "unix_socket"
        case tls, gss
        case otherInterface = "other_interface"
        case unread
        case backgroundWorker = "background_worker"
        case unseenSessions = "unseen_sessions"
        /// Seen, but lost, or not known whose or whether it ended.
        case loss, unattributed
        case underWay = "under_way"
        /// The server's own bookkeeping.
        case evicted, reset
        case setRole = "set_role"
        case settings
        /// Utility statements that were prepared once and ran again.
        case preparedUtility = "prepared_utility"
        case attributedLate = "attributed_late"

        /// Whether it counts what one user has, and not what may have hit many.
        var isOfOneUser: Bool {
            switch self {
            case .nested, .foreignKey, .unixSocket, .tls, .gss, .otherInterface, .unread, .backgroundWorker, .underWay,
                .preparedUtility:
                true
            default: false
            }
        }
    }

    /// Which one.
    public var kind: Kind
    /// How many: sessions, statements or losses, as ``text`` says.
    public var count: UInt64
    /// For people, with the count.
    public var text: String
    /// The most statements that it can account for; `nil`: any number.
    var most: UInt64?

    private enum CodingKeys: String, CodingKey { case kind, count, text }

    init(_ kind: Kind, _ count: UInt64, _ text: String, most: UInt64? = nil) {
        (self.kind, self.count, self.text, self.most) = (kind, count, text, most)
    }
}
