// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Quotas

/// Sessions with servers that may be anybody's.
///
/// Of servers that are not among those that an operator named nothing is read, so nobody pays for what passes there. Of servers
/// that are not proven, while others are, it is read, but what it cost is possible only: the lower bound does not hold it.
extension Books where Recorder: ~Copyable {
    /// This connection is one with a server that was not named.
    mutating func setApart(_ flow: FlowHandle) {
        if flows.contains(flow) { flows[flow].isSetApart = true }
    }

    /// Nothing more of a connection is of interest; counted now, as a scan that carried nothing is no session.
    @inline(never)
    mutating func dropped(_ flow: FlowHandle) {
        guard flows.contains(flow), flows[flow].isSetApart else { return }
        flows[flow].isSetApart = false
        otherServers &+= 1
    }

    /// These servers are proven; what was used at others, and is not in the ledger yet, is possible from now on.
    mutating func take(proven servers: NamedServers) {
        provenServers = servers
        for place in 1..<max(1, principals.highWater) { principals.handle(at: place).map { applyProof(to: $0) } }
    }

    /// Whether what a principal uses is proven to be used.
    mutating func applyProof(to handle: PrincipalHandle) {
        guard let server = principals[handle].server else { return }
        principals[handle].isPossible = !provenServers.contains(server) && !poolers.contains(server)
    }

    /// A principal as reports show it.
    func reported(_ handle: PrincipalHandle) -> Principal {
        var principal = principals[handle]
        guard principal.isPossible else { return principal }
        principal.counts.costLow = min(0, principal.counts.costLow)
        principal.account.withdrawProof()
        return principal
    }
}
