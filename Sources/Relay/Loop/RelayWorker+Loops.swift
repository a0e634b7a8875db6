// SPDX-License-Identifier: Apache-2.0
import Domain

/// Loops through another relay, whose server is this one.
///
/// Each turn looks like a new client from the address of an upstream. Nothing proves that it is one, but in a loop no server ever
/// answers. So when many connections of such clients have sent something and heard nothing, further ones wait until one of them is
/// answered or over; if none is in the time that a server has for a connection, they are refused, and the refusal goes back
/// through the loop to whoever began it.
extension RelayWorker {
    /// So many may wait for their first answer; clients beside a server have fewer, unless it hangs.
    private static var mostUnanswered: Int { 128 }

    var connectNanoseconds: Int64 { Int64(board.options.connectTimeout * 1e9) }

    /// Whether a client has the address of an upstream.
    mutating func isUpstream(_ client: SocketAddress) -> Bool {
        refreshUpstreams()
        return upstreams.contains {
            $0.address.endpoint.high == client.endpoint.high && $0.address.endpoint.low == client.endpoint.low
        }
    }

    /// Whether a suspect that is new may be a turn of a loop.
    ///
    /// They are counted once as many came as would be too many.
    mutating func mayLoop() -> Bool {
        suspects += 1
        guard suspects > Self.mostUnanswered else { return false }
        count(at: Self.steady())
        suspects = unanswered
        return unanswered >= Self.mostUnanswered
    }

    /// Whether suspects still wait for an answer, all of them.
    mutating func isLooping(at now: Int64) -> Bool {
        if now &- lastCount >= 20_000_000 { count(at: now) }
        guard unanswered < Self.mostUnanswered else { return true }
        // One that goes on will be among them.
        unanswered += 1
        return false
    }

    private mutating func count(at now: Int64) {
        var found = 0
        for place in 0..<connections.highWater {
            guard let connection = connections.occupant(at: place), connection.value.serial != 0,
                connection.value.isSuspect, connection.value.phase == .open
            else { continue }
            let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
            if client.value.received > 0, server.value.received == 0 { found += 1 }
        }
        if found < unanswered { lastAnswer = now }
        (unanswered, lastCount) = (found, now)
    }
}
