// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc
public import PostgresClient

/// Which servers a directory proves to be real: nobody else can listen there.
extension SessionDirectory {
    /// Places of servers that it vouches for: where it is reached itself, and what a server says of its own addresses, or a
    /// pooler of its servers.
    ///
    /// - Throws: ``PostgresError`` with what is wrong.
    public func provenServers() throws(PostgresError) -> Set<Endpoint> {
        let connection = try PostgresConnection(parameters, application: "pgweir", seconds: Self.patience)
        let peer = connection.peer
        var found = Set([peer].compactMap { $0 })
        switch kind {
        case .pooler:
            for row in try connection.rows(of: "SHOW SERVERS", seconds: Self.patience) {
                if let server = PoolerLink(pooler: row)?.server { found.insert(server) }
            }
        case .server:
            guard let row = try connection.rows(of: Self.placesQuery, seconds: Self.patience).first,
                let port = row["port"].flatMap({ UInt16($0) })
            else { break }
            let own = HostAddresses.all
            let isHere = peer.map { peer in own.contains { $0.high == peer.high && $0.low == peer.low } } ?? false
            found.formUnion(Self.places(row["address"], row["listen"] ?? "", port, own: isHere ? own : nil))
        }
        return found
    }

    /// Where a server listens, by the address that it was reached at and its setting `listen_addresses`.
    ///
    /// - Parameter own: the addresses of this host, if the server runs here: one that listens at all of them leaves its port
    ///   to nobody else. `nil`: it runs elsewhere, and loopback addresses are those of another host.
    static func places(_ address: String?, _ listen: String, _ port: UInt16, own: [Endpoint]?) -> Set<Endpoint> {
        var found: Set<Endpoint> = []
        let listed = listen.split(separator: ",").map { String($0.drop(while: { $0 == " " }).prefix { $0 != " " }) }
        for name in listed + [address].compactMap({ $0 }) {
            let isAll = name == "*" || name == "0.0.0.0" || name == "::"
            if isAll || name == "localhost" {
                for place in own ?? [] where isAll || place.isLoopback {
                    if name == "*" || name == "localhost" || (name == "0.0.0.0") == place.isIPv4 {
                        found.insert(Endpoint(high: place.high, low: place.low, port: port))
                    }
                }
            } else if let place = Endpoint(address: name, port: port), own != nil || !place.isLoopback {
                found.insert(place)
            }
        }
        return found
    }

    private static let placesQuery = """
        SELECT pg_catalog.host(pg_catalog.inet_server_addr()) AS address, pg_catalog.current_setting('port') AS port, \
        pg_catalog.current_setting('listen_addresses') AS listen
        """
}

extension Endpoint {
    var isIPv4: Bool { high == 0 && low &>> 32 == 0xFFFF }
    /// 127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3).
    var isLoopback: Bool { isIPv4 ? low &>> 24 == 0xFF_FF7F : high == 0 && low == 1 }
}

/// The addresses of this host's interfaces (getifaddrs(3)), without ports.
enum HostAddresses {
    static var all: [Endpoint] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var found: [Endpoint] = []
        var next = unsafe list
        while let entry = unsafe next {
            if let address = unsafe entry.pointee.ifa_addr, var end = unsafe Endpoint(socketAddress: address) {
                end.port = 0
                found.append(end)
            }
            unsafe next = entry.pointee.ifa_next
        }
        return found
    }
}
