// SPDX-License-Identifier: Apache-2.0
import Domain

/// Which servers are what they say, and whether what was used is told apart by where that was.
struct ServerProof {
    /// Principals are told apart by their server, too: what they used can be compared with what a server counted, and some servers
    /// may turn out to be proven.
    var tellsApart = false
    /// Usage is handed on with its server, as nodes that see the same connections divide it by that.
    var isDivided = false
    /// Which servers are proven; none: all count as such.
    var proven = NamedServers()
    /// Whose connections to servers are passed over, and at which clients may wait for one.
    var poolers = PoolerAddresses()

    /// Whether what is used at a server is proven to be used.
    func isProven(_ server: Endpoint) -> Bool { proven.contains(server) || poolers.contains(server) }
}
