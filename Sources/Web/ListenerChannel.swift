// SPDX-License-Identifier: Apache-2.0
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL

/// A client's connection: HTTP/1.1, in TLS where there is a certificate at the moment when it connects.
struct ListenerChannel: ServerChildChannel {
    let base: HTTP1Channel
    let access: ClientAccess
    let acceptance: Acceptance

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        guard acceptance.enter() else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        let tls = access.current.tls
        let ready = channel.eventLoop.makeCompletedFuture {
            guard let tls else { return }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
        }
        .flatMap { base.setup(channel: channel, logger: logger) }
        ready.whenFailure { _ in acceptance.leave() }
        return ready
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        acceptance.leave()
        await base.handle(value: value, logger: logger)
    }
}
