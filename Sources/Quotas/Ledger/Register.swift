// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Who is billed, without a name: a keyed hash of it, which only those who have the key can make.
public struct UserKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// 128 bits of the hash.
    public var hash: Fingerprint

    /// A user.
    public init(_ hash: Fingerprint) { self.hash = hash }

    /// Reads 32 hexadecimal digits; `nil` for any other text.
    public init?(_ text: some StringProtocol) {
        guard let hash = Fingerprint(text) else { return nil }
        self.hash = hash
    }

    /// 32 hexadecimal digits.
    public var description: String { hash.description }

    /// Orders by the hash.
    public static func < (left: UserKey, right: UserKey) -> Bool { left.hash < right.hash }
}

/// What a total is kept for: one user in one span of one kind of window.
public struct RegisterKey: Sendable, Hashable {
    /// The user.
    public var user: UserKey
    /// The kind of window.
    public var window: WindowKind
    /// When the span begins, in seconds since the epoch.
    public var start: Int64
    /// When it ends.
    public var end: Int64

    /// The register that holds what `user` uses at `seconds`.
    public init(_ user: UserKey, _ window: WindowKind, at seconds: Int64, _ zone: ZoneTable) {
        self.user = user
        self.window = window
        (start, end) = window.span(at: seconds, zone)
    }

    /// The register of a span that begins at `start`.
    public init(_ user: UserKey, _ window: WindowKind, start: Int64, end: Int64) {
        (self.user, self.window, self.start, self.end) = (user, window, start, end)
    }

    /// What names it for its user: the kind and the beginning.
    public var place: String { "\(window)@\(start)" }

    /// After this nobody needs it any more, in seconds since the epoch: late settlements have come by then.
    public var forgotten: Int64 { end + window.horizon + Self.grace }

    /// How late usage may come, in seconds.
    public static let grace: Int64 = 900
}

/// A node's own total of a register, to be stored.
public struct RegisterWrite: Sendable, Hashable {
    /// The register.
    public var key: RegisterKey
    /// The total.
    public var total: Usage

    /// A total.
    public init(_ key: RegisterKey, _ total: Usage) { (self.key, self.total) = (key, total) }
}

/// What a store holds for a register.
public struct RegisterReading: Sendable, Hashable {
    /// The asking node's own total; `nil`: it has none there.
    public var own: Usage?
    /// The sum of all others', corrections included.
    public var others: Usage

    /// A reading.
    public init(own: Usage? = nil, others: Usage = .zero) { (self.own, self.others) = (own, others) }
}
