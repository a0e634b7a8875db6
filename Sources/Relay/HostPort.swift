// SPDX-License-Identifier: Apache-2.0

/// A host and a port, as an option names them.
public struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address; empty: all addresses of this machine.
    public var host: String
    /// The TCP port.
    public var port: UInt16

    /// `host:port`, `[address]:port`, `:port` or `port`; with `defaultPort` also `host`.
    public init?(_ text: String, defaultPort: UInt16? = nil) {
        if let port = UInt16(text), port > 0 {
            (host, self.port) = ("", port)
            return
        }
        var name = Substring(text)
        var rest: Substring?
        if text.first == "[", let end = text.firstIndex(of: "]") {
            name = text[text.index(after: text.startIndex)..<end]
            let tail = text[text.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { return nil }
            rest = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            // An IPv6 address without brackets cannot be told from its port.
            guard text.firstIndex(of: ":") == colon else { return nil }
            (name, rest) = (text[..<colon], text[text.index(after: colon)...])
        }
        // Letters, digits and what stands between them; a zone behind `%` (RFC 4007 §11).
        let isName = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._:%".contains($0)) }
        guard isName, name.utf8.count <= 253, rest != nil || !name.isEmpty else { return nil }
        guard let port = rest.map({ UInt16($0) }) ?? defaultPort, port > 0 else { return nil }
        (host, self.port) = (String(name), port)
    }

    /// As ``init(_:defaultPort:)`` reads it.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host.isEmpty ? "*" : host):\(port)" }
}
