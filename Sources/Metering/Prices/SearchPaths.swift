// SPDX-License-Identifier: Apache-2.0
import Domain

/// Numbers from 1 for search_paths that sessions take, each user with a share of them; 0 stands for that of the login.
struct SearchPaths {
    private var paths = [""]
    private var index: [Fingerprint: UInt16] = [:]
    /// How many are a user's.
    private var counts: [Int32: Int] = [:]
    private var bytes = 0
    private let hash: KeyedHash

    private static let most = 65_536
    private static let mostBytes = 8 << 20
    /// One user's share of them.
    private static let mostOfOne = 4096
    /// A longer one is not followed, in bytes.
    private static let longest = 1024

    init(hash: KeyedHash) { self.hash = hash }

    /// A path by its number; `nil`: that of the login.
    subscript(number: UInt16) -> String? { number > 0 && Int(number) < paths.count ? paths[Int(number)] : nil }

    /// The number of a path that a user's session takes; 0, where there is no room for it.
    mutating func number(of value: RawSpan, for owner: Int32) -> UInt16 {
        guard value.byteCount <= Self.longest else { return 0 }
        let key = hash.hash(value)
        if let known = index[key] { return known }
        // Before the login is accepted, nobody pays yet.
        let most = owner == 0 ? Self.most / 2 : Self.mostOfOne
        guard paths.count < Self.most, bytes + value.byteCount <= Self.mostBytes, counts[owner, default: 0] < most
        else { return 0 }
        bytes += value.byteCount
        counts[owner, default: 0] += 1
        paths.append(String(decoding: (0..<value.byteCount).map { value.byte(at: $0) }, as: UTF8.self))
        index[key] = UInt16(paths.count - 1)
        return UInt16(paths.count - 1)
    }

    /// The number of this user may be another's soon, who has a share of their own.
    mutating func forget(_ owner: Int32) { counts[owner] = nil }
}
