// SPDX-License-Identifier: Apache-2.0
import CCrypt
import Synchronization

/// Basic authentication (RFC 7617) against passwords as bcrypt makes them, which the system's crypt(3) knows.
final class PasswordCheck: Sendable {
    private let users: [String: String]
    /// Headers that were right: bcrypt is slow on purpose, and scrapers come often.
    ///
    /// Also a lock for crypt(3).
    private let known = Mutex<Set<String>>([])

    init(_ users: [String: String]) { self.users = users }

    /// Whether a header is known to be right, at once; `nil`: that has to be worked out.
    func quick(_ header: String?) -> Bool? {
        if users.isEmpty { return true }
        guard let header else { return false }
        return known.withLock { $0.contains(header) } ? true : nil
    }

    /// Works it out; takes a tenth of a second.
    func slow(_ header: String) -> Bool {
        guard let (user, password) = Self.credentials(header) else { return false }
        // Unknown users take as long as known ones.
        let hash = users[user] ?? "$2b$10$abcdefghijklmnopqrstuuJXm0Rm1yB4n8dC4Q2ZsC8o9v2v7s0Ue"
        return known.withLock { known in
            guard let made = unsafe crypt(password, hash) else { return false }
            let isRight = unsafe Self.isEqual(String(cString: made), hash) && users[user] != nil
            if isRight {
                if known.count >= 64 { known.removeAll() }
                known.insert(header)
            }
            return isRight
        }
    }

    /// A hash that is cheap to check: for tests.
    static func hash(_ password: String) -> String {
        guard let made = unsafe crypt(password, "$2b$04$abcdefghijklmnopqrstuu") else { return "" }
        return unsafe String(cString: made)
    }

    /// In a time that does not tell where they differ.
    private static func isEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    static func credentials(_ header: String) -> (user: String, password: String)? {
        guard header.lowercased().hasPrefix("basic "), header.utf8.count < 1024,
            let bytes = base64(header.dropFirst(6)), let text = String(validating: bytes, as: UTF8.self),
            let colon = text.firstIndex(of: ":")
        else { return nil }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    /// RFC 4648 §4.
    private static func base64(_ text: Substring) -> [UInt8]? {
        var (bytes, bits, count): ([UInt8], UInt32, Int) = ([], 0, 0)
        for character in text.utf8 where character != UInt8(ascii: "=") {
            let value: UInt8
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return bytes
    }
}
