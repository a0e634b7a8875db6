// SPDX-License-Identifier: Apache-2.0

/// An error that a server answered.
public struct RedisRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of error it is, by its first word.
    public enum Kind: String, Sendable, CaseIterable {
        /// The server still reads its data.
        case loading = "LOADING"
        /// A replica, which takes no writes.
        case readOnly = "READONLY"
        /// A password is needed.
        case noAuthentication = "NOAUTH"
        /// The password or user is wrong.
        case wrongPassword = "WRONGPASS"
        /// The user may not do this.
        case noPermission = "NOPERM"
        /// The server is at its memory limit, and may not evict.
        case outOfMemory = "OOM"
        /// A replica that lost its master.
        case masterDown = "MASTERDOWN"
        /// A script keeps the server busy.
        case busy = "BUSY"
        /// The server cannot save its data and therefore takes no writes.
        case cannotSave = "MISCONF"
        /// Too few replicas for a write.
        case noReplicas = "NOREPLICAS"
        /// The script must be sent first.
        case noScript = "NOSCRIPT"
        /// The key holds another type.
        case wrongType = "WRONGTYPE"
        /// The slot is at another node of a cluster.
        case moved = "MOVED"
        /// The slot is being migrated to another node of a cluster.
        case ask = "ASK"
        /// The keys are being migrated.
        case tryAgain = "TRYAGAIN"
        /// The cluster does not serve this slot.
        case clusterDown = "CLUSTERDOWN"
        /// The keys are of several slots.
        case crossSlot = "CROSSSLOT"
        /// Any other, such as a syntax error.
        case other = "ERR"
    }

    /// What kind of error it is.
    public let kind: Kind
    /// What the server wrote: printable ASCII, at most 200 characters, without arguments it repeats.
    public let message: String

    /// What the server wrote.
    public var description: String { message }

    init(_ line: [UInt8]) {
        let word = line.prefix { $0 != UInt8(ascii: " ") }
        kind = Kind(rawValue: String(decoding: word, as: UTF8.self)) ?? .other
        let printable = line.prefix(200).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
        let text = String(decoding: printable, as: UTF8.self)
        // "ERR unknown command 'X', with args beginning with: ..." would put literals into logs.
        message = Self.cut(text, before: ", with args beginning with:")
    }

    /// Whether the server is of no use for now, whatever it is asked: what the circuit breaker counts as a failure.
    var isOutage: Bool {
        switch kind {
        case .loading, .readOnly, .masterDown, .busy, .clusterDown, .noAuthentication, .cannotSave: true
        default: false
        }
    }

    /// Whether another connection, made later, may fare better.
    var wantsReconnect: Bool { [.loading, .readOnly, .masterDown, .noAuthentication].contains(kind) }

    private static func cut(_ text: String, before end: String) -> String {
        let (text, end) = (Array(text.utf8), Array(end.utf8))
        guard text.count >= end.count else { return String(decoding: text, as: UTF8.self) }
        for start in 0...(text.count - end.count) where text[start..<(start + end.count)].elementsEqual(end) {
            return String(decoding: text[..<start], as: UTF8.self)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
