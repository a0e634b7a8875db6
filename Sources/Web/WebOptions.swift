// SPDX-License-Identifier: Apache-2.0

/// Where pages are served, and to whom.
public struct WebOptions: Sendable, Hashable {
    /// A name or an address, and a port; 0: any free one.
    public var host: String, port: Int
    /// TLS; `nil`: none.
    public var tls: TLSFiles?
    /// Users and their passwords as bcrypt makes them; empty: nobody is asked.
    public var users: [String: String]
    /// Connections at once; beyond that, the oldest that asks for nothing is closed.
    public var connections = 512
    /// A connection on which nothing happens for so long is closed.
    var idleSeconds: Int64 = 10

    /// A certificate and its key (PEM), and who may connect.
    public struct TLSFiles: Sendable, Hashable {
        /// The chain of certificates, and the key.
        public var certificate: String, key: String
        /// Clients must show a certificate that one of these signed; `nil`: they need none.
        public var clientAuthorities: String?

        /// Files.
        public init(certificate: String, key: String, clientAuthorities: String? = nil) {
            (self.certificate, self.key, self.clientAuthorities) = (certificate, key, clientAuthorities)
        }
    }

    /// A place without TLS and passwords.
    public init(host: String, port: Int, tls: TLSFiles? = nil, users: [String: String] = [:]) {
        (self.host, self.port, self.tls, self.users) = (host, port, tls, users)
    }

    /// Such as `127.0.0.1:9932`, `[::1]:9932` or `:9932`; `nil` for anything else.
    public init?(address: String) {
        guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]) else {
            return nil
        }
        var host = String(address[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard host.isEmpty || !host.contains("[") else { return nil }
        self.init(host: host.isEmpty ? "0.0.0.0" : host, port: Int(port))
    }

    var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

/// Why pages are not served.
public enum WebError: Error, CustomStringConvertible, Equatable {
    /// The address is not to be had.
    case cannotListen(address: String, reason: String)
    /// The certificate or its key is not to be used.
    case badCertificate(file: String, reason: String)

    /// What happened, and what to do.
    public var description: String {
        switch self {
        case .cannotListen(let address, let reason):
            "cannot serve pages at \(address): \(reason); choose another --web.listen-address, or 'none'"
        case .badCertificate(let file, let reason): "cannot use the certificate \(file): \(reason)"
        }
    }
}
