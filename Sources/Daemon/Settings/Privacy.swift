// SPDX-License-Identifier: Apache-2.0

/// What may be shown and kept of users and statements.
public struct Privacy: Sendable, Hashable {
    /// Where users appear by name.
    public enum UserNames: String, Sendable, CaseIterable { case hashed, page, plain }
    /// Whether patterns are kept and shown as text; literals never are.
    public enum QueryText: String, Sendable, CaseIterable { case normalized, none }

    /// Where users appear by name.
    public var userNames = UserNames.hashed
    /// Whether patterns are text.
    public var queryText = QueryText.normalized

    /// The defaults show nobody's name.
    public init(userNames: UserNames = .hashed, queryText: QueryText = .normalized) {
        (self.userNames, self.queryText) = (userNames, queryText)
    }

    /// Whether pages and files of the daemon's own have names.
    var keepsNames: Bool { userNames != .hashed }
    /// Whether logs and metrics have names.
    var tellsNames: Bool { userNames == .plain }
    var keepsTexts: Bool { queryText == .normalized }
}
