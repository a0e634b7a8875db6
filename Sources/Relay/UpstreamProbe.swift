// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// Asks servers that failed whether they would serve a connection again, the way a connection asks them.
///
/// PostgreSQL logs neither a connection that ends without a byte nor one that ends after its TLS handshake.
struct UpstreamProbe: Sendable {
    var mark: UInt32 = 0
    /// TLS with servers, where connections use it.
    var tls: TLSContext?
    var sendsProxyHeader = false
    /// What each server has, s.
    var timeout = 1.0

    enum Answer {
        case answers
        /// It does not accept a connection.
        case noConnection
        /// It accepts one, and TLS fails on it.
        case noTLS
    }

    /// The answer of each: of all at once, as one that hangs must not keep the others waiting.
    func ask(_ upstreams: [Upstream]) -> [Answer] {
        var answers = [Answer?](repeating: nil, count: upstreams.count)
        var descriptors: [Int32] = []
        var sessions = [TLSSession?](repeating: nil, count: upstreams.count)
        for upstream in upstreams { descriptors.append(Socket.connect(upstream.address, mark: mark)) }
        var isConnected = [Bool](repeating: false, count: upstreams.count)
        let end = RelayWorker.steady() &+ Int64(timeout * 1e9)
        while RelayWorker.steady() < end, answers.contains(where: { $0 == nil }) {
            var waiting: [pollfd] = []
            for index in upstreams.indices where answers[index] == nil {
                guard descriptors[index] >= 0 else {
                    answers[index] = .noConnection
                    continue
                }
                let events = Int16(isConnected[index] ? POLLIN : POLLOUT)
                waiting.append(pollfd(fd: descriptors[index], events: events, revents: 0))
            }
            // A handshake that waits to write is seen to as well.
            guard unsafe poll(&waiting, nfds_t(waiting.count), 50) >= 0 || errno == EINTR else { break }
            for index in upstreams.indices where answers[index] == nil {
                let isReady = waiting.contains { $0.fd == descriptors[index] && $0.revents != 0 }
                guard isReady || sessions[index] != nil else { continue }
                answers[index] = advance(
                    descriptors[index],
                    &isConnected[index],
                    &sessions[index],
                    upstreams[index].host
                )
            }
        }
        for index in upstreams.indices {
            sessions[index]?.free()
            if descriptors[index] >= 0 { close(descriptors[index]) }
        }
        return zip(answers, isConnected).map { $0 ?? ($1 ? .noTLS : .noConnection) }
    }

    /// The next step with one server; `nil`: it is not done yet.
    private func advance(
        _ descriptor: Int32,
        _ isConnected: inout Bool,
        _ session: inout TLSSession?,
        _ host: String
    ) -> Answer? {
        if !isConnected {
            guard Socket.pendingError(descriptor) == 0 else { return .noConnection }
            guard tls != nil else { return .answers }
            isConnected = true
            let greeting = (sendsProxyHeader ? ProxyHeader.local : []) + Greeting.tlsRequestBytes
            return Socket.send(descriptor, greeting) ? nil : .noTLS
        }
        if session == nil {
            guard Socket.peek(descriptor, 2) == [0x53] else { return .noTLS }
            Socket.skip(descriptor, 1)
            session = tls?.session(on: descriptor, host: host)
            guard session != nil else { return .noTLS }
        }
        let outcome = session?.shakeHands() ?? Socket.Outcome.failed
        if outcome == Socket.Outcome.again { return nil }
        guard outcome == 1 else { return .noTLS }
        session?.end()
        return .answers
    }
}
