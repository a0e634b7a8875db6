// SPDX-License-Identifier: Apache-2.0

/// The servers whose sessions count, where an operator named them.
///
/// Whoever can listen on a server's port anywhere before the tap can answer "yes" to any login: only what a named server
/// accepts says who a session's user is.
public struct NamedServers: Sendable, Equatable {
    /// Where they listen; port 0 stands for any.
    public let places: [Endpoint]

    /// Servers that listen at `places`; none stands for all.
    public init(_ places: [Endpoint] = []) { self.places = places }

    /// Whether none was named: then all count.
    public var isEmpty: Bool { places.isEmpty }

    /// Whether sessions with the server at this place count.
    public func contains(_ server: Endpoint) -> Bool {
        if places.isEmpty { return true }
        for place in places where place.high == server.high && place.low == server.low {
            if place.port == 0 || place.port == server.port { return true }
        }
        return false
    }

    /// The ports to watch, where `ports` were asked for and may be the standard ones; none stands for any.
    public func ports(besides ports: [UInt16], isStandard: Bool) -> [UInt16] {
        let own = Set(places.map(\.port))
        guard !own.isEmpty, !ports.isEmpty else { return ports }
        let kept = isStandard && !own.contains(0) ? [] : ports
        return kept + own.filter { $0 > 0 && !kept.contains($0) }.sorted()
    }
}

extension Endpoint {
    /// A server as people name it: `192.0.2.1`, `192.0.2.1:5432`, `2001:db8::1` or `[2001:db8::1]:5432`; `nil` if it is none.
    ///
    /// Without a port that is 0, which stands for any. A name of a host is none: who answers for it may change.
    public init?(server text: String) {
        guard !text.contains("/") else { return nil }
        if let place = Endpoint(text) {
            guard place.port > 0 else { return nil }
            self = place
            return
        }
        var address = text[...]
        if address.first == "[", address.last == "]" {
            address = address.dropFirst().dropLast()
            guard address.contains(":") else { return nil }
        }
        self.init(address: String(address), port: 0)
    }

    /// The address alone, or with the port where there is one: what ``init(server:)`` reads.
    public var serverText: String {
        if port > 0 { return description }
        let address = description.dropLast(2)
        return String(address.first == "[" ? address.dropFirst().dropLast() : address)
    }
}
