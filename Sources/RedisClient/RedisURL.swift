// SPDX-License-Identifier: Apache-2.0

/// A URL taken apart; see `RedisOptions.init(url:password:)`.
struct RedisURL {
    private typealias Bytes = ArraySlice<UInt8>

    private(set) var topology: Topology
    private(set) var database = 0
    private(set) var user: String?
    private(set) var password: String?

    init(_ url: String) throws(RedisOptionsError) {
        let bytes = Array(url.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            throw .unknownScheme
        }
        let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        if scheme.hasPrefix("rediss") || scheme.hasSuffix("+tls") { throw .noTLS }
        topology = .cluster([])
        let (address, query) = Self.split(bytes[(colon + 3)...], at: "?")
        let (authority, path) = Self.split(address, at: "/")
        for rest in [path, query] where rest?.contains(UInt8(ascii: "@")) == true { throw .unescapedPassword }
        if bytes.contains(UInt8(ascii: "#")) { throw .unescapedPassword }
        let hosts = try readCredentials(authority)
        switch scheme {
        case "unix", "redis+unix":
            guard hosts.isEmpty else { throw .badSocketPath }
            topology = .single(.unix(path: try Self.socketPath(path)))
            if let query { try readQuery(query) }
            return
        case "redis":
            let endpoints = try Self.endpoints(hosts, defaultPort: 6379)
            guard let server = endpoints.first, endpoints.count == 1 else { throw .severalHosts }
            topology = .single(server)
            database = try Self.database(path)
        case "redis+sentinel":
            topology = .sentinel(try Self.endpoints(hosts, defaultPort: 26_379), master: try readMaster(path))
        case "redis+cluster":
            topology = .cluster(try Self.endpoints(hosts, defaultPort: 6379))
            guard try Self.database(path) == 0 else { throw .clusterDatabase }
        default: throw .unknownScheme
        }
        if query != nil { throw .unknownOption }
    }

    /// Takes user and password; returns what follows them.
    private mutating func readCredentials(_ authority: Bytes) throws(RedisOptionsError) -> Bytes {
        guard let end = authority.lastIndex(of: UInt8(ascii: "@")) else { return authority }
        let (name, secret) = Self.split(authority[..<end], at: ":")
        user = name.isEmpty ? nil : try Self.decode(name)
        if let secret, !secret.isEmpty { password = try Self.decode(secret) }
        return authority[(end + 1)...]
    }

    private mutating func readMaster(_ path: Bytes?) throws(RedisOptionsError) -> String {
        let (name, rest) = Self.split(path ?? [], at: "/")
        guard !name.isEmpty else { throw .missingMaster }
        database = try Self.database(rest)
        return try Self.decode(name)
    }

    private mutating func readQuery(_ query: Bytes) throws(RedisOptionsError) {
        let (name, value) = Self.split(query, at: "=")
        guard name.elementsEqual("db".utf8), let value, !value.contains(UInt8(ascii: "&")) else { throw .unknownOption }
        database = try Self.database(value)
    }

    private static func database(_ text: Bytes?) throws(RedisOptionsError) -> Int {
        guard let text, !text.isEmpty else { return 0 }
        if text.contains(UInt8(ascii: "/")) { throw .longPath }
        guard let number = Int(String(decoding: text, as: UTF8.self)), (0...1_000_000).contains(number) else {
            throw .badDatabase
        }
        return number
    }

    private static func socketPath(_ path: Bytes?) throws(RedisOptionsError) -> String {
        let decoded = "/" + (try decode(path ?? []))
        guard decoded.utf8.count > 1, decoded.utf8.count <= 107 else { throw .badSocketPath }
        return decoded
    }

    private static func endpoints(_ hosts: Bytes, defaultPort: UInt16) throws(RedisOptionsError) -> [Endpoint] {
        var result: [Endpoint] = []
        for host in hosts.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            result.append(try endpoint(host, defaultPort: defaultPort))
        }
        return result
    }

    private static func endpoint(_ text: Bytes, defaultPort: UInt16) throws(RedisOptionsError) -> Endpoint {
        var (host, port) = split(text, at: ":")
        if text.first == UInt8(ascii: "[") {
            guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { throw .openBracket }
            host = text[(text.startIndex + 1)..<end]
            let rest = text[(end + 1)...]
            guard rest.isEmpty || rest.first == UInt8(ascii: ":") else { throw .badHost }
            port = rest.isEmpty ? nil : rest.dropFirst()
        }
        let name = try decode(host)
        guard !name.isEmpty else { throw .missingHost }
        guard name.utf8.count <= 255, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw .badHost
        }
        guard let port else { return .tcp(host: name, port: defaultPort) }
        guard let number = UInt16(String(decoding: port, as: UTF8.self)), number > 0 else { throw .badPort }
        return .tcp(host: name, port: number)
    }

    /// What stands before the first `mark`, and what after it, if there is one.
    private static func split(_ bytes: Bytes, at mark: Unicode.Scalar) -> (Bytes, Bytes?) {
        guard let index = bytes.firstIndex(of: UInt8(ascii: mark)) else { return (bytes, nil) }
        return (bytes[..<index], bytes[(index + 1)...])
    }

    private static func decode(_ bytes: Bytes) throws(RedisOptionsError) -> String {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), value != 0
            else { throw .badEscape }
            result.append(value)
            rest = rest.dropFirst(2)
        }
        guard let text = String(validating: result, as: UTF8.self) else { throw .badEscape }
        return text
    }
}
